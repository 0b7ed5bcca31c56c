"""What do the docstrings of a word's fields say? For help texts and for editors.

Pydantic's use_attribute_docstrings reads the sources whenever the classes are made, a sixth of the time that `check`
takes to answer, for what most commands never show.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def docstrings(word: type[BaseModel]) -> dict[str, str]:
    """Give each field's docstring by its name, the inherited ones too; a field may have none."""
    words = [base for base in reversed(word.__mro__) if issubclass(base, BaseModel) and base is not BaseModel]
    written = {
        name: text for base in words for name, text in _of_module(base.__module__).get(base.__name__, {}).items()
    }
    return {name: written[name] for name in word.model_fields if name in written}


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    try:
        source = inspect.getsource(sys.modules[name])
    except (KeyError, OSError, TypeError):  # typed at a prompt, or imported in a way of its own
        return {}
    classes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))
    return {class_.name: dict(_fields(class_)) for class_ in classes}


def _fields(class_: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(class_.body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass
