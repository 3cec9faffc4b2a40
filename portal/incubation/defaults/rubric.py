"""The first rubric version: four criteria on a scale from 1 to 5."""

from typing import Any

RUBRIC: dict[str, Any] = {
    "scale_max": 5,
    "criteria": [
        {
            "key": "problem",
            "weight_percent": 25,
            "label": {"en": "Problem and demand", "fr": "Problème et marché", "ar": "المشكلة والطلب"},
            "help": {
                "en": "Is the problem real, and would people use or pay for a solution?",
                "fr": "Le problème est-il réel, et une solution serait-elle utilisée ou payée ?",
                "ar": "هل المشكلة حقيقية، وهل سيستعمل الناس الحل أو يؤدون ثمنه؟",
            },
            "low": {"en": "Need assumed", "fr": "Besoin supposé", "ar": "حاجة مفترضة"},
            "high": {"en": "Need proved by users", "fr": "Besoin prouvé par des utilisateurs", "ar": "حاجة أثبتها المستعملون"},
        },
        {
            "key": "team",
            "weight_percent": 20,
            "label": {"en": "Team", "fr": "Équipe", "ar": "الفريق"},
            "help": {
                "en": "Can these people build it, and do they have the time?",
                "fr": "Ces personnes peuvent-elles le construire, et en ont-elles le temps ?",
                "ar": "هل يستطيع هؤلاء بناءه، وهل لديهم الوقت؟",
            },
            "low": {"en": "Key skills missing", "fr": "Compétences clés absentes", "ar": "كفاءات أساسية غائبة"},
            "high": {"en": "Complete, has delivered before", "fr": "Équipe complète, a déjà livré", "ar": "فريق مكتمل سبق له الإنجاز"},
        },
        {
            "key": "feasibility",
            "weight_percent": 30,
            "label": {"en": "Technical feasibility", "fr": "Faisabilité technique", "ar": "قابلية الإنجاز تقنيا"},
            "help": {
                "en": "Does the method fit the problem, and is there evidence that it works?",
                "fr": "La méthode convient-elle au problème, et y a-t-il des preuves qu’elle fonctionne ?",
                "ar": "هل تلائم الطريقة المشكلة، وهل من دليل على أنها تعمل؟",
            },
            "low": {"en": "Method uncertain", "fr": "Méthode incertaine", "ar": "طريقة غير مؤكدة"},
            "high": {"en": "Results measured on real data", "fr": "Résultats mesurés sur données réelles", "ar": "نتائج مقيسة على بيانات حقيقية"},
        },
        {
            "key": "computing",
            "weight_percent": 25,
            "label": {"en": "Need for GPU computing", "fr": "Besoin en calcul GPU", "ar": "الحاجة إلى الحوسبة"},
            "help": {
                "en": "Is the request explained, measured, and of the right size?",
                "fr": "La demande est-elle expliquée, mesurée et de la bonne taille ?",
                "ar": "هل الطلب مشروح ومقيس وبالحجم المناسب؟",
            },
            "low": {"en": "Asked without reasons", "fr": "Demande sans justification", "ar": "طلب بلا تعليل"},
            "high": {"en": "Measured and realistic", "fr": "Demande mesurée et réaliste", "ar": "طلب مقيس وواقعي"},
        },
    ],
}
