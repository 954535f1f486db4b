"""What the pages and the REST interface show and do, as plain functions.

Each takes the server's `WebState` first and returns frozen dataclasses, which the REST interface
gives out as they are. Errors are exceptions of `tagkin.errors` and `tagkin.web.problems`. All text
in the results is anybody's text: tags and names are to be escaped where they are shown.
"""
