"""Courses as files: read, checked and rendered.

Nothing of a course is imported or executed, and nothing here knows the database or the web.

    courses/<slug>/course.yaml                    what the course is (schemas/course.schema.json)
    courses/<slug>/lessons/<lesson>/<lang>.md     a lesson, one file per language, in blocks with shared ids
    courses/<slug>/lessons/<lesson>/figures/*.svg drawings; `<name>.narrow.svg` is the one for phones
    courses/<slug>/labs/<lab>/lab.yaml            what a lab needs (schemas/lab.schema.json)
    courses/<slug>/labs/<lab>/notebook.py         the notebook's master, in percent format

A block begins with a line of its own, `{#id}`, and reaches to the next. The same ids in the same order stand in every
language, so a reader may change the language of one paragraph, and a translation can be seen to be out of date:

    {#why-bandwidth}                  in the first of the course's languages, the source
    {#why-bandwidth from=3fa2c1d0}    in a translation: made from the source block with this digest
    {#timing-code same}               in a translation: the source's block, as it is (code, formulas)
    {#try-it lab=measure-it}          the card of a lab, in every language

`loading.check` returns every problem with file, line, what is wrong and what to write instead.
"""
