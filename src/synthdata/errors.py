"""The errors synthdata raises on purpose.

```
SynthdataError
├── ConfigError        a config file or an override is wrong
├── DatasetError       a data set is malformed, or too small for what was asked
├── GenerationError    an image generator can't be built, loaded or run
├── TrainingError      a detector or generator training failed
├── VersioningError    DVC or Git refused
├── DeliveryError      a trained detector can't be delivered as asked
├── RunError           a run folder is locked, incomplete or not a run
├── OutOfTimeError     the time that was given is up; what is done is kept
└── DamagedFileError   a file of ours was cut, emptied or changed
```

Every message says what was expected, what came and what to do. The command line prints
it without a traceback and exits with status 1.
"""


class SynthdataError(Exception):
    """Root of all errors raised on purpose."""


class ConfigError(SynthdataError):
    """A config file or an override is wrong."""


class DatasetError(SynthdataError):
    """A data set is malformed, or too small for what was asked of it."""


class GenerationError(SynthdataError):
    """An image generator can't be built, loaded or run."""


class TrainingError(SynthdataError):
    """A detector or generator training failed."""


class VersioningError(SynthdataError):
    """DVC or Git refused."""


class DeliveryError(SynthdataError):
    """A trained detector can't be delivered as asked."""


class RunError(SynthdataError):
    """A run folder is locked, incomplete or not a run."""


class OutOfTimeError(SynthdataError):
    """The time that was given is up; what is done is kept."""


class DamagedFileError(SynthdataError):
    """A file that synthdata wrote was cut, emptied or changed since."""
