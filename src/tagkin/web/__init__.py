"""Search, review and tagging in a browser, and over REST.

``app`` puts everything together: ``security`` in front, then the pages and ``api``, which both call
``services`` and never each other; ``state`` holds what is loaded of the library.
"""
