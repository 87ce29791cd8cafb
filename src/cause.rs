//! What is the matter, as a value.

/// The cause of a failure, as a rule as PostgreSQL's own message tells it. It is found once, where the message is read, so that
/// nothing else has to look for words; words of rows, names and statements decide nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "most names say it")]
pub enum FailureCause {
    /// Another host has taken the minute that a scheduled run is for.
    MinuteTaken,
    ServerStarting,
    ServerStopping,
    ServerRecovering,
    ServerCrashed,
    /// An administrator or a stopping server ended the session.
    SessionEnded,
    ConnectionLost,
    ConnectionRefused,
    /// There is no socket in the directory.
    SocketMissing,
    HostUnknown,
    HostUnreachable,
    ConnectionTimeout,
    /// A standby that is not hot takes no connections at all.
    StandbyClosed,
    TooManyConnections,
    /// The connections that are left are for superusers and their like.
    SlotsReserved,
    /// The role has its own limit of connections.
    RoleLimit,
    /// The database has its own limit of connections.
    DatabaseLimit,
    /// A pooler before the server has no connection to give.
    PoolerBusy,
    StandbyConflict,
    LockTimeout,
    /// The server, the database or the role limits the time of a statement.
    StatementTimeout,
    /// The server, the database or the role limits the time in which a transaction, or a session, may do nothing.
    IdleTimeout,
    /// The server, the database or the role limits the time of a transaction.
    TransactionTimeout,
    Serialization,
    Deadlock,
    /// pg_dump is older than the server.
    VersionMismatch,
    /// pg_restore is older than the pg_dump that made the archive.
    ArchiveTooNew,
    /// Text gave psql a command, which it was told not to run.
    CommandRestricted,
    /// SQL text ended the transaction that it was given.
    TransactionEnded,
    PasswordMissing,
    /// libpq does not read the file of the password, since others may read it.
    PasswordFileOpen,
    PasswordWrong,
    NotInHba,
    PeerMismatch,
    /// Another way of logging in failed: LDAP, PAM, GSSAPI, a certificate.
    LoginFailed,
    /// The role that logs in is not there.
    LoginMissing,
    /// The role may not log in.
    LoginForbidden,
    /// The role may not connect to the database.
    ConnectDenied,
    CertificateNotVerified,
    /// The server's certificate is of another host.
    CertificateOfAnotherHost,
    /// A file of a certificate or a key that libpq wants is not there, or others may read it.
    CertificateFile,
    ServerWithoutTls,
    /// The lock table of the server is full.
    OutOfLocks,
    OutOfMemory,
    /// A page or a row of the server is not what was written.
    DataCorrupted,
    /// A row is longer than PostgreSQL can send or take.
    RowTooLong,
    NoSpace,
    /// A signal killed the program.
    Killed,
    /// There is no such database to connect to.
    DatabaseUnavailable,
    /// The database takes no connections.
    DatabaseClosed,
    /// A DROP DATABASE stopped half way.
    DatabaseInvalid,
    /// A statement names a database that is not there.
    DatabaseMissing,
    RoleMissing,
    TablespaceMissing,
    LocaleMissing,
    CollationMissing,
    ExtensionMissing,
    /// An extension can be made in another database of the server alone.
    ExtensionElsewhere,
    LibraryMissing,
    /// The server has no library that gives security labels of that kind their meaning.
    LabelProviderMissing,
    /// A file is missing that belongs to the server's installation, such as a dictionary for text search.
    ServerFileMissing,
    TimeZoneMissing,
    /// An extension works only in a server that loads its library at the start.
    NeedsPreload,
    /// A statement asks another server, which does not answer.
    RemoteUnreachable,
    /// A statement starts a program, or opens a file of the machine, which the server is not allowed.
    OutOfReach,
    /// A function does not find what it names: it relies on a search path, and has none of its own.
    FunctionWithoutPath,
    SyntaxUnknown,
    ObjectExists,
    /// Making room would drop objects that the backup does not bring back.
    WouldDrop,
    DependedOn,
    InheritedConstraint,
    ForeignKeyViolated,
    KeyDuplicate,
    /// A unique key or index, or one that excludes rows, cannot be made over the rows that are there.
    IndexDuplicate,
    CheckViolated,
    /// The server does not know `transaction_timeout`.
    TransactionTimeoutUnknown,
    SettingUnknown,
    /// The same of a setting of an extension or of the application's own.
    CustomSettingUnknown,
    MoneyFormat,
    MayNotCreateDatabase,
    MayNotCreateExtension,
    /// The server keeps the passwords of its roles to itself.
    PasswordsForbidden,
    LargeObjectDenied,
    /// Something of a schema, a table or another object is denied.
    ObjectDenied,
    /// Anything else is denied.
    PermissionDenied,
    RowSecurity,
    NotExtensionOwner,
    NotOwner,
    NotMember,
    NotSuperuser,
    /// The archive ends too early.
    ArchiveCut,
    /// What is compressed inside the archive cannot be unpacked.
    ArchiveGarbled,
    /// SQL text ends within rows or within a statement.
    SqlCut,
}

impl FailureCause {
    /// True where rows break a key or a check that is made over them.
    pub fn is_about_rows(self) -> bool {
        matches!(
            self,
            FailureCause::ForeignKeyViolated
                | FailureCause::IndexDuplicate
                | FailureCause::CheckViolated
        )
    }

    /// True where a role with more rights would have been let.
    pub fn is_about_rights(self) -> bool {
        matches!(
            self,
            FailureCause::MayNotCreateDatabase
                | FailureCause::MayNotCreateExtension
                | FailureCause::PasswordsForbidden
                | FailureCause::ObjectDenied
                | FailureCause::LargeObjectDenied
                | FailureCause::PermissionDenied
                | FailureCause::NotExtensionOwner
                | FailureCause::NotOwner
                | FailureCause::NotSuperuser
        )
    }
}
