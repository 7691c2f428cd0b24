from secretsvc.errors import AlreadySealedError as AlreadySealedError
from secretsvc.errors import AlteredError as AlteredError
from secretsvc.errors import BackendError as BackendError
from secretsvc.errors import BackendUnavailableError as BackendUnavailableError
from secretsvc.errors import BoundError as BoundError
from secretsvc.errors import FileError as FileError
from secretsvc.errors import InputError as InputError
from secretsvc.errors import KeyNotHeldError as KeyNotHeldError
from secretsvc.errors import KeyRefError as KeyRefError
from secretsvc.errors import KsecretError as KsecretError
from secretsvc.errors import ManifestError as ManifestError
from secretsvc.errors import NoKeyError as NoKeyError
from secretsvc.errors import NothingToSealError as NothingToSealError
from secretsvc.errors import NotSealedError as NotSealedError
from secretsvc.errors import RepeatedError as RepeatedError
from secretsvc.errors import UsageError as UsageError
from secretsvc.keyref import KeyRef as KeyRef
from secretsvc.keyref import Recipients as Recipients
from secretsvc.library import Keyring as Keyring
from secretsvc.library import check as check
from secretsvc.library import decrypt as decrypt
from secretsvc.library import encrypt as encrypt
from secretsvc.library import generate as generate
from secretsvc.library import inspect as inspect
from secretsvc.library import rewrap as rewrap
from secretsvc.library import rotate as rotate
from secretsvc.library import set_values as set_values
from secretsvc.library import verify as verify

__all__: list[str]
__version__: str
