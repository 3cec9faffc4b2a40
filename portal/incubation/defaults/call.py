"""Texts of "Incubation 2027, first call"."""

PROGRAMME_SLUG = "incubation"
PROGRAMME_NAME = {"en": "Incubation", "fr": "Incubation", "ar": "الاحتضان"}

CALL: dict[str, dict[str, str]] = {
    "title": {
        "en": "Incubation 2027, first call",
        "fr": "Incubation 2027, premier appel",
        "ar": "الاحتضان 2027، النداء الأول",
    },
    "intro": {
        "en": (
            "The Tetouan AI Hub takes young ventures that need GPU computing to build something people will use. "
            "For twelve months you get credits on a pool of machines that runs on wind and sun, a mentor, and a place to work.\n\n"
            "You do not need to be a company yet. One person applies for the team; the others join once you are admitted. "
            "Write in Arabic, French or English: reviewers read all three.\n\n"
            "At least two reviewers score each application by the criteria below. "
            "Whatever the answer, you receive their comments and the reasons."
        ),
        "fr": (
            "Le Tetouan AI Hub accueille de jeunes projets qui ont besoin de calcul GPU pour construire quelque chose d’utile. "
            "Pendant douze mois, vous recevez des crédits sur des machines alimentées par le vent et le soleil, un mentor et un lieu de travail.\n\n"
            "Il n’est pas nécessaire d’avoir déjà créé une entreprise. "
            "Une personne dépose le dossier pour l’équipe ; les autres la rejoignent après l’admission. "
            "Écrivez en arabe, en français ou en anglais : les évaluateurs lisent les trois langues.\n\n"
            "Deux personnes au moins notent chaque dossier selon les critères ci-dessous. "
            "Quelle que soit la réponse, vous recevez leurs commentaires et les motifs."
        ),
        "ar": (
            "يحتضن مركز تطوان للذكاء الاصطناعي المشاريع الناشئة التي تحتاج إلى الحوسبة على المعالجات الرسومية لبناء شيء ينفع الناس. "
            "تحصلون طوال اثني عشر شهرا على نقاط للعمل على أجهزة تشتغل بطاقة الرياح والشمس، وعلى مرافقة مرشد، ومكان للعمل.\n\n"
            "لا يشترط أن تكون لديكم شركة بعد. يقدم شخص واحد الطلب باسم الفريق، ويلتحق الباقون بعد القبول. "
            "اكتبوا بالعربية أو الفرنسية أو الإنجليزية: فالمقيّمون يقرؤون اللغات الثلاث.\n\n"
            "يقيّم كل طلب شخصان على الأقل وفق المعايير أدناه. "
            "ومهما كان الجواب، تتوصلون بملاحظاتهم وبالأسباب."
        ),
    },
}
