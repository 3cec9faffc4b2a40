"""A complete, valid set of answers to the first form: what the demo world, the journey and the tests submit."""

SAMPLE_ANSWERS: dict[str, str | list[str]] = {
    "title": "Early detection of vine mildew by drone",
    "problem": (
        "Growers around Meknes lose between 8 and 30 percent of a harvest to mildew in a wet spring. They see it when it is too late, "
        "and spray everything. We walked 14 vineyards with their owners last year; 11 of them keep records that show the losses."
    ),
    "solution": (
        "A small drone photographs each row twice a week. A segmentation model marks leaves with first symptoms, four to six days before "
        "the eye sees them, and the grower gets a map on the phone. On two test plots it found 41 of 46 infected rows with three false alarms."
    ),
    "stage": "prototype",
    "fields": ["vision", "farming"],
    "website": "https://example.org/vine",
    "team": "Four people: an agronomist with twelve years in the region, two computer vision engineers from Tetouan, and a pilot with a licence.",
    "team_size": "4",
    "contact": "",
    "gpu_credits": "320",
    "gpu_purpose": (
        "Fine-tuning a segmentation model on 38,000 labelled images. One run on a small slice took 5.5 hours in our test. "
        "We plan 14 runs on a slice and one final run on a full GPU."
    ),
    "personal_data": "no",
    "goal": "Thirty growers who use the maps every week through one season, with measured losses before and after.",
}
