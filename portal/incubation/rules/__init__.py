"""Pure rules of incubation: questions and answers, page marks, scores, award lines."""
