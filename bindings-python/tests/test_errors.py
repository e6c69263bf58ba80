"""The exceptions and core's table cannot drift."""

import pathlib
import re

import graceshut
from graceshut import _errors, _graceshut


def test_one_class_per_kind():
    table = _graceshut.error_kinds()
    assert len(table) == len(_errors.BY_KIND) >= 19
    for name, code in table:
        cls = _errors.BY_KIND[name]
        assert issubclass(cls, graceshut.Error) and (cls.kind, cls.code) == (name, code)
        assert getattr(graceshut, cls.__name__) is cls and cls.__name__ in graceshut.__all__
        assert len(cls.__mro__) > 4, f"{cls} inherits no built-in besides Exception"


def test_the_static_face_says_the_same():
    text = pathlib.Path(_errors.__file__).with_suffix(".pyi").read_text()
    static = {m[1]: m[2].split(", ") for m in re.finditer(r"class (\w+)\(Error, ([\w, ]+)\)", text)}
    made = {c.__name__: [b.__name__ for b in c.__bases__[1:]] for c in _errors.BY_KIND.values()}
    assert static == made


def test_typed():
    folder = pathlib.Path(graceshut.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_graceshut.pyi").exists()
    text = (folder / "_graceshut.pyi").read_text()
    for cls in ("Runtime", "Context", "Done", "Hook", "Reason", "Group"):
        for name in vars(getattr(_graceshut, cls)):
            if not name.startswith("__"):
                assert re.search(rf"def {name}\(", text), f"{cls}.{name} is not in _graceshut.pyi"
    for name in vars(_graceshut):
        if not name.startswith("__"):
            assert re.search(rf"(def|class) {name}\b", text), f"{name} is not in _graceshut.pyi"


def test_version():
    import importlib.metadata

    assert graceshut.__version__ == importlib.metadata.version("graceshut")
