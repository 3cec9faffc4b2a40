"""What the hub says when it does not start a session: each reason in three languages.

The plug-in imports nothing of the portal, so its few texts stand here and not in the portal's catalogue.
"""

import html

from jupyterhub.spawner import SpawnException

_REFUSALS = {
    "ticket_unknown": {
        "en": "This start is not known to the portal.",
        "fr": "Le portail ne connaît pas ce lancement.",
        "ar": "هذا الإطلاق غير معروف لدى البوابة.",
    },
    "ticket_used": {
        "en": "This start was used already.",
        "fr": "Ce lancement a déjà servi.",
        "ar": "سبق استعمال هذا الإطلاق.",
    },
    "ticket_expired": {
        "en": "This start took too long to arrive and has expired.",
        "fr": "Ce lancement a mis trop de temps à arriver et a expiré.",
        "ar": "تأخر وصول هذا الإطلاق فانتهت صلاحيته.",
    },
    "ticket_not_yours": {
        "en": "This start belongs to somebody else.",
        "fr": "Ce lancement appartient à quelqu’un d’autre.",
        "ar": "هذا الإطلاق يخص شخصًا آخر.",
    },
    "session_not_starting": {
        "en": "This session is not waiting to start any more.",
        "fr": "Cette session n’attend plus d’être lancée.",
        "ar": "لم تعد هذه الجلسة في انتظار الإطلاق.",
    },
    "no_ticket": {
        "en": "Sessions do not start here.",
        "fr": "Les sessions ne se lancent pas ici.",
        "ar": "لا تُطلَق الجلسات من هنا.",
    },
    "portal_unavailable": {
        "en": "The portal did not answer, so nothing was started and nothing is charged. Try again in a minute.",
        "fr": "Le portail n’a pas répondu\u202f: rien n’a été lancé et rien n’est débité. Réessayez dans une minute.",
        "ar": "لم تستجب البوابة، فلم يُطلَق شيء ولن يُخصم شيء. أعد المحاولة بعد دقيقة.",
    },
    "not_granted": {
        "en": "This start was not granted by the portal.",
        "fr": "Le portail n’a pas accordé ce lancement.",
        "ar": "لم تمنح البوابة هذا الإطلاق.",
    },
    "no_sandbox": {
        "en": "Sessions cannot start on this machine: their sandbox does not work.",
        "fr": "Aucune session ne peut démarrer sur cette machine\u202f: leur isolement ne fonctionne pas.",
        "ar": "لا يمكن إطلاق الجلسات على هذه الآلة: بيئة عزلها لا تعمل.",
    },
    "not_started": {
        "en": "The session could not be started; nothing ran.",
        "fr": "La session n’a pas pu démarrer\u202f; rien n’a été exécuté.",
        "ar": "تعذّر إطلاق الجلسة؛ لم يعمل شيء.",
    },
    "port_taken": {
        "en": "The session’s place was taken by another process; it was stopped.",
        "fr": "Un autre processus a pris la place de la session\u202f; elle a été arrêtée.",
        "ar": "أخذت عملية أخرى مكان الجلسة، فأُوقِفت.",
    },
    "ended_early": {
        "en": "The session’s server ended before it was ready.",
        "fr": "Le serveur de la session s’est arrêté avant d’être prêt.",
        "ar": "انتهى خادم الجلسة قبل أن يصبح جاهزًا.",
    },
}
_LINK = {"en": "Start sessions from the portal", "fr": "Lancer une session depuis le portail", "ar": "أطلق الجلسات من البوابة"}


def refusal(reason: str, *, status: int, portal_url: str, log_message: str = "") -> SpawnException:
    """Return the exception that refuses a start and leads back to the portal.

    The page gets the sentence in three languages and shows the reader's; machines read the English one.
    """
    texts = _REFUSALS[reason]
    return SpawnException(
        f"{texts['en']} {_LINK['en']}: {portal_url}/",
        reason=reason,
        status_code=status,
        log_message=log_message or texts["en"],
        message_html="".join(_in_language(code, text, portal_url) for code, text in texts.items()),
    )


def _in_language(code: str, text: str, portal_url: str) -> str:
    direction = "rtl" if code == "ar" else "ltr"
    link = f'<a href="{html.escape(portal_url, quote=True)}/">{html.escape(_LINK[code])}</a>'
    return f'<span lang="{code}" dir="{direction}">{html.escape(text)} {link}.</span>'
