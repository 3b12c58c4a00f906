"""Reference solutions and known wrong answers of `labs/rest.ipynb`."""

from __future__ import annotations

import gzip

import uritemplate

from remotecalls.notebook.solutions import Wrong
from remotecalls.rest.problems import Answer

PATCH = {"content-type": "application/merge-patch+json"}


def edit(client, url, change):
    while True:
        current = client.get(url).raise_for_status()
        headers = {**PATCH, "if-match": current.headers["etag"]}
        answer = client.patch(url, json=change(current.json()), headers=headers)
        if answer.status_code != 412:
            return answer.raise_for_status().json()


def answers():
    return [304, 200, 304, 412, 200]


def walk(client, steps):
    document = client.get("/").raise_for_status().json()
    for relation, values in steps:
        href = document["_links"][relation]["href"]
        document = client.get(uritemplate.expand(href, values)).raise_for_status().json()
    return document


def compressed(plain):
    headers = dict(plain.headers)
    headers["etag"] = headers["etag"][:-1] + '-gzip"'
    headers["content-encoding"] = "gzip"
    return Answer(plain.status, headers, gzip.compress(plain.body))


SOLUTIONS = {
    "edit-safely": edit,
    "which-tag": answers,
    "walk": walk,
    "compress": compressed,
}


def edit_without_a_condition(client, url, change):
    current = client.get(url).raise_for_status()
    return client.patch(url, json=change(current.json()), headers=PATCH).raise_for_status().json()


def edit_whatever_it_is(client, url, change):
    current = client.get(url).raise_for_status()
    headers = {**PATCH, "if-match": "*"}
    answer = client.patch(url, json=change(current.json()), headers=headers)
    return answer.raise_for_status().json()


def edit_once(client, url, change):
    current = client.get(url).raise_for_status()
    headers = {**PATCH, "if-match": current.headers["etag"]}
    answer = client.patch(url, json=change(current.json()), headers=headers)
    return answer.raise_for_status().json()


def edit_with_the_old_document(client, url, change):
    changes = change(client.get(url).raise_for_status().json())
    while True:
        tag = client.get(url).raise_for_status().headers["etag"]
        headers = {**PATCH, "if-match": tag}
        answer = client.patch(url, json=changes, headers=headers)
        if answer.status_code != 412:
            return answer.raise_for_status().json()


def a_tag_for_the_resource():
    return [304, 304, 304, 200, 200]


def walk_by_heart(client, steps):
    path = ""
    for relation, values in steps:
        word = "customers" if relation.startswith("customer") else relation
        path += f"/{word}" + (f"/{values['customer_id']}" if "customer_id" in values else "")
    return client.get(path).raise_for_status().json()


def walk_from_the_root(client, steps):
    root = client.get("/").raise_for_status().json()
    for relation, values in steps:
        href = root["_links"][relation]["href"]
        document = client.get(uritemplate.expand(href, values)).raise_for_status().json()
    return document


def compressed_with_the_same_tag(plain):
    headers = {**plain.headers, "content-encoding": "gzip"}
    return Answer(plain.status, headers, gzip.compress(plain.body))


def compressed_without_saying_so(plain):
    headers = {**plain.headers, "etag": '"9f2-gzip"'}
    return Answer(plain.status, headers, gzip.compress(plain.body))


def compressed_in_place(plain):
    plain.headers["etag"] = plain.headers["etag"][:-1] + '-gzip"'
    plain.headers["content-encoding"] = "gzip"
    return Answer(plain.status, plain.headers, gzip.compress(plain.body))


WRONG = [
    Wrong("edit-safely", "no condition", edit_without_a_condition, "Send `If-Match` with the tag"),
    Wrong("edit-safely", "any state", edit_whatever_it_is, "Somebody's payment is gone"),
    Wrong("edit-safely", "one attempt", edit_once, "412 came out"),
    Wrong(
        "edit-safely", "an old document", edit_with_the_old_document, "Somebody's payment is gone"
    ),
    Wrong("which-tag", "one tag", a_tag_for_the_resource, "A tag names bytes"),
    Wrong("walk", "by heart", walk_by_heart, "Begin at `/`"),
    Wrong("walk", "always from the root", walk_from_the_root, "Each step begins at the document"),
    Wrong("compress", "the same tag", compressed_with_the_same_tag, "have the same `etag`"),
    Wrong(
        "compress", "no encoding named", compressed_without_saying_so, "takes the bytes for JSON"
    ),
    Wrong("compress", "in place", compressed_in_place, "belongs to the other client"),
]
