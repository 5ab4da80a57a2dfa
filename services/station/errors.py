# SPDX-License-Identifier: Apache-2.0
"""Errors by what their receiver has to do. As many as there are reactions, no more."""


class StationError(Exception):
    """Something a person can mend: the message says what, where and what to do. A command prints it as one line."""


class Unavailable(Exception):  # noqa: N818 - it is a state of the other side, not a mistake
    """The other side does not answer now; trying again later is right."""


class Poison(Exception):  # noqa: N818
    """This one message cannot be handled and never will be: it goes to the dead letters with this reason."""


class Conflict(Exception):  # noqa: N818
    """Two different things claim one identity (a sequence, an entry id). Nothing goes on until a person has looked."""
