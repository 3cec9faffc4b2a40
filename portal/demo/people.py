"""The demo world's people: one of each kind, with the sign-ins that `make up` prints."""

from dataclasses import dataclass

from portal.core.access import Actor, Role

PASSWORD = "tetouan-demo-2026"  # noqa: S105 -- printed on purpose, for an empty development database alone


@dataclass(frozen=True)
class DemoPerson:
    """One person of the demo world."""

    email: str
    name: str
    language: str
    who: str
    roles: tuple[Role, ...] = ()
    password: str = PASSWORD


FOUNDER = DemoPerson("salma@example.org", "Salma Bennis", "fr", "founder of a venture, with credits and past sessions")
ENGINEER = DemoPerson("ilyas@example.org", "إلياس المرابط", "ar", "engineer in a venture, with a weekly allowance")
SECOND_FOUNDER = DemoPerson("mehdi@example.org", "Mehdi Alaoui", "en", "founder of a small venture")
APPLICANT = DemoPerson("youssef@example.org", "يوسف العمراني", "ar", "founder with an application under way")
STUDENT = DemoPerson("nadia@example.org", "Nadia El Fassi", "ar", "student in the running course")
SECOND_STUDENT = DemoPerson("omar@example.org", "Omar Tazi", "fr", "student, just enrolled")
REVIEWER = DemoPerson("karim@example.org", "Karim Haddad", "fr", "reviewer", (Role.REVIEWER,))
SECOND_REVIEWER = DemoPerson("amina@example.org", "Amina Idrissi", "en", "second reviewer", (Role.REVIEWER,))
MENTOR = DemoPerson("hassan@example.org", "Hassan Ouazzani", "fr", "mentor", (Role.MENTOR,))
INSTRUCTOR = DemoPerson("leila@example.org", "Leïla Chraïbi", "fr", "instructor of the course", (Role.INSTRUCTOR,))
STAFF = DemoPerson("imane@example.org", "Imane Raji", "en", "programme staff", (Role.STAFF,))
FINANCE = DemoPerson("rachid@example.org", "Rachid Bakkali", "fr", "finance", (Role.FINANCE,))
SECOND_FINANCE = DemoPerson("sara@example.org", "Sara Mansouri", "en", "second finance officer", (Role.FINANCE,))
FUNDER = DemoPerson("fund@example.org", "Claire Dubois", "en", "funder, reads outcomes", (Role.FUNDER,))
ANNOTATOR = DemoPerson("hind@example.org", "هند الشاوي", "ar", "annotator", (Role.ANNOTATOR,))
ADMINISTRATOR = DemoPerson("admin@example.org", "Administrator", "en", "administrator", (Role.ADMINISTRATOR,))

SIGN_INS = (
    FOUNDER,
    ENGINEER,
    SECOND_FOUNDER,
    APPLICANT,
    STUDENT,
    SECOND_STUDENT,
    REVIEWER,
    SECOND_REVIEWER,
    MENTOR,
    INSTRUCTOR,
    STAFF,
    FINANCE,
    SECOND_FINANCE,
    FUNDER,
    ANNOTATOR,
    ADMINISTRATOR,
)


@dataclass(frozen=True)
class Cast:
    """The people of the world as actors, by address."""

    actors: dict[str, Actor]

    def __getitem__(self, person: DemoPerson) -> Actor:
        return self.actors[person.email]
