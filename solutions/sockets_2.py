"""Reference solutions and known wrong answers of `labs/sockets-2.ipynb`."""

from __future__ import annotations

from remotecalls.notebook.solutions import Wrong


def predicted_packed():
    return ["00 00 00 00 5c", "00 00 00 50 0d", "12 34 56 78 9c"]


def unpack(data):
    digits, sign = data.hex()[:-1], data.hex()[-1]
    if not digits.isdecimal():
        raise ValueError(f"{digits} are not all digits")
    if sign in "acef":
        return int(digits)
    if sign in "bd":
        return -int(digits)
    raise ValueError(f"{sign} is no sign")


class Once:
    def __init__(self, execute):
        self.execute = execute
        self.last = {}

    def handle(self, client, number, request):
        last_number, last_reply = self.last.get(client, (0, None))
        if number == last_number:
            return last_reply
        if number < last_number:
            return None
        reply = self.execute(request)
        self.last[client] = number, reply
        return reply


SOLUTIONS = {
    "predict-packed": predicted_packed,
    "unpack": unpack,
    "once": Once,
}


# ---------------------------------------------------------------- wrong answers that readers give


def sign_in_front():
    return ["c0 00 00 00 05", "d0 00 00 05 00", "c1 23 45 67 89"]


def stores_the_point():
    return ["00 00 00 0.05", "-5.00", "1234567.89"]


def trusts_the_digits(data):
    value = 0
    for half in data.hex()[:-1]:
        value = 10 * value + int(half, 16)
    return -value if data.hex()[-1] == "d" else value


def only_c_and_d(data):
    digits, sign = data.hex()[:-1], data.hex()[-1]
    return {"c": 1, "d": -1}[sign] * int(digits)


class Always:
    def __init__(self, execute):
        self.execute = execute

    def handle(self, client, number, request):
        return self.execute(request)


class ByWords(Always):
    def __init__(self, execute):
        super().__init__(execute)
        self.seen = {}

    def handle(self, client, number, request):
        if request not in self.seen:
            self.seen[request] = self.execute(request)
        return self.seen[request]


class OneCounter(Once):
    def handle(self, client, number, request):
        return super().handle("anybody", number, request)


class KeepsAll(Once):
    def handle(self, client, number, request):
        if (client, number) not in self.last:
            if any(c == client and n > number for c, n in self.last):
                return None
            self.last[client, number] = self.execute(request)
        elif any(c == client and n > number for c, n in self.last):
            return None
        return self.last[client, number]


WRONG = [
    Wrong("predict-packed", "the sign comes first", sign_in_front, "the sign comes last"),
    Wrong("predict-packed", "the point is stored", stores_the_point, "The point is not stored"),
    Wrong("unpack", "believes any half byte", trusts_the_digits, "booked to somebody"),
    Wrong("unpack", "knows two signs", only_c_and_d, "the processor takes all six"),
    Wrong("once", "no memory", Always, "the same reply"),
    Wrong("once", "equal words are one call", ByWords, "Two equal payments"),
    Wrong("once", "one count for all clients", OneCounter, "Each client counts its own"),
    Wrong("once", "keeps every reply", KeepsAll, "its last reply is all"),
]
