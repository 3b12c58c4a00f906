"""The services, simulators and lab tools of *Remote Calls: from sockets to agents*."""
