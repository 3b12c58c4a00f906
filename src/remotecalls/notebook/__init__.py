"""What labs import: one line sets a lab up.

The first cell of every lab::

    from remotecalls.notebook import Lab

    lab = Lab("sockets")

Services, in this kernel or in a process of their own::

    server = await lab.start(text.serve(shop))      # an asynchronous context manager
    client = await lab.start(text.connect(server.address, timeout=2))
    service = await lab.spawn("text")               # python -m remotecalls serve text
    service.address, service.log(), service.kill()
    await lab.stop(service)
    await lab.stop_all()

Failures and deadlines::

    with lab.expect(ConnectionLost):
        await client.get_customer(7)
    await lab.within(1.0, client.get_customer(7))
    await lab.eventually(1.0, lambda: not service.alive, "the service has ended")

Exercises and quizzes::

    lab.exercise("split-lines")
    lab.check("split-lines", split_lines)
    lab.hint("split-lines")
    lab.solution("split-lines")
    lab.quiz("what-recv-returns")
    lab.answer("what-recv-returns", "b")
"""

from remotecalls.notebook.lab import Lab

__all__ = ["Lab"]
