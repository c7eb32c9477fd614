"""Every error that Aegis raises on purpose, drawn as one tree.

::

    AegisError
    ├── ConfigurationError        aegis.yaml, an environment variable or a command-line value is wrong
    ├── StorageUnavailable        PostgreSQL cannot be reached, or refuses
    ├── CalendarError             a date that is not a session, or lies outside the calendar
    ├── MarketDataError           a source cannot answer, or its answer cannot be used
    │   ├── SourceUnavailable     no answer at all (network, empty frame): worth a retry
    │   ├── SourceRefused         the vendor will not serve this (key, symbol, parameter): a retry will not help
    │   └── MalformedData         an answer that breaks its own contract: a retry will not help
    ├── LakeError                 the versioned store
    │   ├── LakeUnreadable        the catalog or a data file cannot be opened
    │   ├── SchemaMismatch        a frame does not fit its table
    │   └── SnapshotNotFound      no such version
    ├── QualityGateBlocked        no session of the request passed the blocking data checks
    ├── FeatureError              a feature or signal was asked for what cannot be known
    ├── PortfolioError            weights cannot be found within the constraints
    ├── RiskError                 a risk number cannot be computed, or a limit is malformed
    ├── ComplianceError           a rule cannot be applied to these facts, or a list or export of it is malformed
    ├── DriftError                a drift measure cannot be computed from these numbers
    ├── ExecutionError            orders and brokers
    │   ├── IllegalTransition     the order state machine has no such edge
    │   ├── OrderRejected         a broker or the gate refused an order
    │   ├── BrokerUnavailable     the broker gave no usable answer, so nothing is known: ask again
    │   ├── SubmissionUnknown     an order was sent and nobody knows whether it arrived: nothing else may be sent
    │   └── DecisionConflict      a committed decision was recomputed with another result
    ├── JournalError              the append-only event table cannot be read or does not verify
    │   ├── DuplicateEvent        an event that is recorded once only is in the journal already
    │   └── AnchorUnavailable     the second place of the journal's head cannot be asked or written
    ├── BackupError               a backup cannot be made or restored; nothing was left half done
    ├── ReconciliationError       our books and the broker's differ
    ├── BacktestError             a backtest cannot be run as asked
    │   └── StrategyFailed        the strategy itself went wrong; what it did until then is kept
    └── ReportingError            a report cannot be written from these results

A message names what was expected, what was found, the symbol, session or order it concerns, and the remedy.
"""


class AegisError(Exception):
    """Root of the tree; catching it catches every refusal of Aegis and no programming error."""


class ConfigurationError(AegisError):
    """A setting is unknown, malformed or contradicts another."""


class StorageUnavailable(AegisError):
    """The database that holds a team's workspace cannot be reached, or refuses."""


class CalendarError(AegisError):
    """A date is not a session of the decision calendar, or lies outside it."""


class MarketDataError(AegisError):
    """A market-data source failed."""


class SourceUnavailable(MarketDataError):
    """The source gave no answer; the same request may succeed later."""


class SourceRefused(MarketDataError):
    """The source will not serve this request: its key, a symbol or a parameter; it will be refused again."""


class MalformedData(MarketDataError):
    """The source answered with data that cannot be used; the same request will fail again."""


class LakeError(AegisError):
    """The versioned store failed."""


class LakeUnreadable(LakeError):
    """The lake's catalog or one of its data files cannot be opened."""


class SchemaMismatch(LakeError):
    """A frame's columns, dtypes or key do not fit the table it is meant for."""


class SnapshotNotFound(LakeError):
    """The lake holds no snapshot with this number."""


class QualityGateBlocked(AegisError):
    """No session of the request passed the blocking data checks."""


class FeatureError(AegisError):
    """A feature or signal was asked for something that cannot be known."""


class PortfolioError(AegisError):
    """Target weights cannot be found within the constraints."""


class RiskError(AegisError):
    """A risk number cannot be computed, or a limit is malformed."""


class ComplianceError(AegisError):
    """A rule cannot be applied to the facts given, or a restricted list or an export cannot be used."""


class DriftError(AegisError):
    """A measure of drift cannot be computed from these numbers, or its settings are malformed."""


class ExecutionError(AegisError):
    """An order could not be handled."""


class IllegalTransition(ExecutionError):
    """The order state machine has no edge for this event in this state."""


class OrderRejected(ExecutionError):
    """A broker or the pre-trade gate refused the order."""


class BrokerUnavailable(ExecutionError):
    """The broker gave no usable answer to a question; it may later."""


class SubmissionUnknown(ExecutionError):
    """An order was sent, and neither the broker's answer nor a query tells whether it lives; new orders are blocked."""


class DecisionConflict(ExecutionError):
    """A decision that is already committed was recomputed with another result."""


class JournalError(AegisError):
    """The journal cannot be read, or its hash chain does not verify."""


class DuplicateEvent(JournalError):
    """An event that may be recorded once only is in the journal already; nothing of its batch was written."""


class AnchorUnavailable(JournalError):
    """The place where the journal's head is kept a second time cannot be asked or written; the journal stands."""


class BackupError(AegisError):
    """A backup cannot be made, read or restored; earlier backups and the target are as they were."""


class ReconciliationError(AegisError):
    """Our books and the broker's cannot be compared; a difference that was found is a value, not an error."""


class BacktestError(AegisError):
    """A backtest cannot be run as asked."""


class StrategyFailed(BacktestError):
    """A strategy raised, or asked for what cannot be; the simulation keeps what it did until then."""


class ReportingError(AegisError):
    """A report cannot be written from these results."""
