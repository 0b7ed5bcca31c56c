"""Which signals do the processes hear that the tests start?"""

import signal


def hear_every_signal() -> None:
    """Let what is started from here hear Ctrl-C and hangups, whatever this process was born deaf to.

    A shell's background job ignores the one, `nohup` the other, and children inherit it: a study that honours that
    would never end where it is sent one.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
