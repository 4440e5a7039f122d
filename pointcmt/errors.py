"""The one exception that means "what came in is wrong"; commands turn it into one sentence."""


class InputError(ValueError):
    """Input from outside (a file, a flag, a request) is unusable.

    The message is one sentence that says what was wrong, where, and what would be right.
    """
