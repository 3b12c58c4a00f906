"""Reference solutions and known wrong answers of `labs/sockets-3.ipynb`."""

from __future__ import annotations

import selectors
import threading

from remotecalls.notebook.solutions import Wrong


def who_waits():
    later = "after the first has asked"
    return [later, later, later]


class Account:
    def __init__(self, balance):
        self.balance = balance
        self.lock = threading.Lock()

    def deposit(self, amount):
        with self.lock:
            self.balance = self.balance + amount

    def withdraw(self, amount):
        with self.lock:
            if self.balance < amount:
                return False
            self.balance = self.balance - amount
            return True


def serve(listener, stop):
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in selector.select(0.05):
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ, bytearray())
                    continue
                data = key.fileobj.recv(1024)
                if not data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    continue
                key.data.extend(data)
                while b"\n" in key.data:
                    end = key.data.index(b"\n") + 1
                    key.fileobj.sendall(bytes(key.data[:end]).upper())
                    del key.data[:end]
        for key in list(selector.get_map().values()):
            if key.fileobj is not listener:
                key.fileobj.close()


SOLUTIONS = {
    "who-waits": who_waits,
    "locked-account": Account,
    "event-loop": serve,
}


# ---------------------------------------------------------------- wrong answers that readers give


def only_the_silent_one():
    return ["after the first has asked", "at once", "at once"]


class NoLock(Account):
    def deposit(self, amount):
        self.balance = self.balance + amount


class TwoLocks(Account):
    def withdraw(self, amount):
        with self.lock:
            enough = self.balance >= amount
        if not enough:
            return False
        with self.lock:
            self.balance = self.balance - amount
        return True


class NeverReleased(Account):
    def deposit(self, amount):
        self.lock.acquire()
        self.balance = self.balance + amount
        self.lock.release()


def one_after_another(listener, stop):
    listener.setblocking(True)
    listener.settimeout(0.05)
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with connection:
            connection.settimeout(1)
            try:
                while data := connection.recv(1024):
                    connection.sendall(data.upper())
            except TimeoutError:
                pass


def reads_are_lines(listener, stop):
    sockets = []
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in selector.select(0.05):
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    sockets.append(connection)
                    selector.register(connection, selectors.EVENT_READ)
                elif data := key.fileobj.recv(1024):
                    key.fileobj.sendall(data.upper())
                else:
                    selector.unregister(key.fileobj)
    for connection in sockets:
        connection.close()


def for_ever(listener, stop):
    serve(listener, threading.Event())


WRONG = [
    Wrong("who-waits", "connected is served", only_the_silent_one, "nobody reads what they sent"),
    Wrong("locked-account", "no lock", NoLock, "An update was lost"),
    Wrong("locked-account", "asks under one lock, acts under another", TwoLocks, "under one lock"),
    Wrong("locked-account", "an error keeps the lock", NeverReleased, "gives it back"),
    Wrong("event-loop", "one client after another", one_after_another, "waited for the silent"),
    Wrong("event-loop", "a read is a line", reads_are_lines, "kept for its client"),
    Wrong("event-loop", "does not look at stop", for_ever, "Give select a time-out"),
]
