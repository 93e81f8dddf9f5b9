from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientFrame(_message.Message):
    __slots__ = ("ref_text", "ref_number", "hello", "sync", "ping", "create", "join", "leave", "members", "send", "watch", "history", "ack", "read", "unread", "recall", "role", "mute", "policy", "close", "trim", "chunk", "notices", "open", "publish", "release", "withdraw", "board", "entries", "preview", "post", "edit", "delete", "state", "follow", "unfollow", "block", "unblock", "author", "mode", "feed")
    class Hello(_message.Message):
        __slots__ = ("token", "since", "ack", "chunks")
        class SinceEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: Since
            def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Since, _Mapping]] = ...) -> None: ...
        TOKEN_FIELD_NUMBER: _ClassVar[int]
        SINCE_FIELD_NUMBER: _ClassVar[int]
        ACK_FIELD_NUMBER: _ClassVar[int]
        CHUNKS_FIELD_NUMBER: _ClassVar[int]
        token: str
        since: _containers.MessageMap[str, Since]
        ack: bool
        chunks: bool
        def __init__(self, token: _Optional[str] = ..., since: _Optional[_Mapping[str, Since]] = ..., ack: _Optional[bool] = ..., chunks: _Optional[bool] = ...) -> None: ...
    class Chunk(_message.Message):
        __slots__ = ("id", "part", "of", "data")
        ID_FIELD_NUMBER: _ClassVar[int]
        PART_FIELD_NUMBER: _ClassVar[int]
        OF_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        id: int
        part: int
        of: int
        data: bytes
        def __init__(self, id: _Optional[int] = ..., part: _Optional[int] = ..., of: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
    class Sync(_message.Message):
        __slots__ = ("mode",)
        MODE_FIELD_NUMBER: _ClassVar[int]
        mode: str
        def __init__(self, mode: _Optional[str] = ...) -> None: ...
    class Ping(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Create(_message.Message):
        __slots__ = ("mailbox", "id", "policy")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        POLICY_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        policy: Policy
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...
    class Join(_message.Message):
        __slots__ = ("mailbox", "id", "members")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        members: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ...) -> None: ...
    class Leave(_message.Message):
        __slots__ = ("mailbox", "id", "members")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        members: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ...) -> None: ...
    class ListMembers(_message.Message):
        __slots__ = ("mailbox", "after", "limit")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        AFTER_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        after: str
        limit: int
        def __init__(self, mailbox: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...
    class Send(_message.Message):
        __slots__ = ("mailbox", "id", "body")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        body: bytes
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...
    class Watch(_message.Message):
        __slots__ = ("mailbox", "mode")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        mode: str
        def __init__(self, mailbox: _Optional[str] = ..., mode: _Optional[str] = ...) -> None: ...
    class History(_message.Message):
        __slots__ = ("mailbox", "after", "before", "place", "limit")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        AFTER_FIELD_NUMBER: _ClassVar[int]
        BEFORE_FIELD_NUMBER: _ClassVar[int]
        PLACE_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        after: int
        before: int
        place: Place
        limit: int
        def __init__(self, mailbox: _Optional[str] = ..., after: _Optional[int] = ..., before: _Optional[int] = ..., place: _Optional[_Union[Place, _Mapping]] = ..., limit: _Optional[int] = ...) -> None: ...
    class Ack(_message.Message):
        __slots__ = ("mailbox", "seq")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        seq: int
        def __init__(self, mailbox: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...
    class Read(_message.Message):
        __slots__ = ("mailbox", "seq")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        seq: int
        def __init__(self, mailbox: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...
    class Unread(_message.Message):
        __slots__ = ("mailbox", "seq")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        seq: int
        def __init__(self, mailbox: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...
    class Recall(_message.Message):
        __slots__ = ("mailbox", "id", "seq")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        seq: int
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...
    class Role(_message.Message):
        __slots__ = ("mailbox", "id", "member", "role")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        MEMBER_FIELD_NUMBER: _ClassVar[int]
        ROLE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        member: str
        role: str
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., member: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...
    class Mute(_message.Message):
        __slots__ = ("mailbox", "id", "until", "member")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        UNTIL_FIELD_NUMBER: _ClassVar[int]
        MEMBER_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        until: int
        member: str
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., until: _Optional[int] = ..., member: _Optional[str] = ...) -> None: ...
    class ChangePolicy(_message.Message):
        __slots__ = ("mailbox", "id", "policy")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        POLICY_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        policy: Policy
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...
    class Close(_message.Message):
        __slots__ = ("mailbox", "id")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...
    class Trim(_message.Message):
        __slots__ = ("mailbox", "id", "upto")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        UPTO_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        upto: int
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., upto: _Optional[int] = ...) -> None: ...
    class Notices(_message.Message):
        __slots__ = ("mailbox", "before", "limit")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        BEFORE_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        before: int
        limit: int
        def __init__(self, mailbox: _Optional[str] = ..., before: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...
    class Open(_message.Message):
        __slots__ = ("mailbox", "publish")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ...) -> None: ...
    class Publish(_message.Message):
        __slots__ = ("mailbox", "id", "title", "body", "release", "expires", "priority", "audience")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        TITLE_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        RELEASE_FIELD_NUMBER: _ClassVar[int]
        EXPIRES_FIELD_NUMBER: _ClassVar[int]
        PRIORITY_FIELD_NUMBER: _ClassVar[int]
        AUDIENCE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        title: str
        body: bytes
        release: Reach
        expires: int
        priority: str
        audience: bytes
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., title: _Optional[str] = ..., body: _Optional[bytes] = ..., release: _Optional[_Union[Reach, _Mapping]] = ..., expires: _Optional[int] = ..., priority: _Optional[str] = ..., audience: _Optional[bytes] = ...) -> None: ...
    class Release(_message.Message):
        __slots__ = ("mailbox", "id", "publish", "expect", "release")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        EXPECT_FIELD_NUMBER: _ClassVar[int]
        RELEASE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        publish: int
        expect: int
        release: Reach
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., publish: _Optional[int] = ..., expect: _Optional[int] = ..., release: _Optional[_Union[Reach, _Mapping]] = ...) -> None: ...
    class Withdraw(_message.Message):
        __slots__ = ("mailbox", "id", "publish", "expect")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        EXPECT_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        publish: int
        expect: int
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., publish: _Optional[int] = ..., expect: _Optional[int] = ...) -> None: ...
    class ShowBoard(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Entries(_message.Message):
        __slots__ = ("mailbox", "before", "limit")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        BEFORE_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        before: int
        limit: int
        def __init__(self, mailbox: _Optional[str] = ..., before: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...
    class Preview(_message.Message):
        __slots__ = ("mailbox", "publish", "user", "claims")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        USER_FIELD_NUMBER: _ClassVar[int]
        CLAIMS_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        user: str
        claims: bytes
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ..., user: _Optional[str] = ..., claims: _Optional[bytes] = ...) -> None: ...
    class MakePost(_message.Message):
        __slots__ = ("id", "body", "state")
        ID_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        id: str
        body: bytes
        state: str
        def __init__(self, id: _Optional[str] = ..., body: _Optional[bytes] = ..., state: _Optional[str] = ...) -> None: ...
    class EditPost(_message.Message):
        __slots__ = ("post", "body")
        POST_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        post: str
        body: bytes
        def __init__(self, post: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...
    class DeletePost(_message.Message):
        __slots__ = ("post",)
        POST_FIELD_NUMBER: _ClassVar[int]
        post: str
        def __init__(self, post: _Optional[str] = ...) -> None: ...
    class SetState(_message.Message):
        __slots__ = ("post", "state")
        POST_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        post: str
        state: str
        def __init__(self, post: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...
    class Follow(_message.Message):
        __slots__ = ("author",)
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        author: str
        def __init__(self, author: _Optional[str] = ...) -> None: ...
    class Unfollow(_message.Message):
        __slots__ = ("author",)
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        author: str
        def __init__(self, author: _Optional[str] = ...) -> None: ...
    class Block(_message.Message):
        __slots__ = ("members",)
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        members: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, members: _Optional[_Iterable[str]] = ...) -> None: ...
    class Unblock(_message.Message):
        __slots__ = ("members",)
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        members: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, members: _Optional[_Iterable[str]] = ...) -> None: ...
    class ShowAuthor(_message.Message):
        __slots__ = ("author",)
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        author: str
        def __init__(self, author: _Optional[str] = ...) -> None: ...
    class ChooseDelivery(_message.Message):
        __slots__ = ("author", "mode")
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        author: str
        mode: str
        def __init__(self, author: _Optional[str] = ..., mode: _Optional[str] = ...) -> None: ...
    class Feed(_message.Message):
        __slots__ = ("last_id", "limit", "order", "snapshot", "refresh", "author")
        LAST_ID_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        ORDER_FIELD_NUMBER: _ClassVar[int]
        SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
        REFRESH_FIELD_NUMBER: _ClassVar[int]
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        last_id: str
        limit: int
        order: str
        snapshot: str
        refresh: str
        author: str
        def __init__(self, last_id: _Optional[str] = ..., limit: _Optional[int] = ..., order: _Optional[str] = ..., snapshot: _Optional[str] = ..., refresh: _Optional[str] = ..., author: _Optional[str] = ...) -> None: ...
    REF_TEXT_FIELD_NUMBER: _ClassVar[int]
    REF_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SYNC_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    CREATE_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MUTE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    TRIM_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_FIELD_NUMBER: _ClassVar[int]
    BOARD_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    POST_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    UNFOLLOW_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    UNBLOCK_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    ref_text: str
    ref_number: int
    hello: ClientFrame.Hello
    sync: ClientFrame.Sync
    ping: ClientFrame.Ping
    create: ClientFrame.Create
    join: ClientFrame.Join
    leave: ClientFrame.Leave
    members: ClientFrame.ListMembers
    send: ClientFrame.Send
    watch: ClientFrame.Watch
    history: ClientFrame.History
    ack: ClientFrame.Ack
    read: ClientFrame.Read
    unread: ClientFrame.Unread
    recall: ClientFrame.Recall
    role: ClientFrame.Role
    mute: ClientFrame.Mute
    policy: ClientFrame.ChangePolicy
    close: ClientFrame.Close
    trim: ClientFrame.Trim
    chunk: ClientFrame.Chunk
    notices: ClientFrame.Notices
    open: ClientFrame.Open
    publish: ClientFrame.Publish
    release: ClientFrame.Release
    withdraw: ClientFrame.Withdraw
    board: ClientFrame.ShowBoard
    entries: ClientFrame.Entries
    preview: ClientFrame.Preview
    post: ClientFrame.MakePost
    edit: ClientFrame.EditPost
    delete: ClientFrame.DeletePost
    state: ClientFrame.SetState
    follow: ClientFrame.Follow
    unfollow: ClientFrame.Unfollow
    block: ClientFrame.Block
    unblock: ClientFrame.Unblock
    author: ClientFrame.ShowAuthor
    mode: ClientFrame.ChooseDelivery
    feed: ClientFrame.Feed
    def __init__(self, ref_text: _Optional[str] = ..., ref_number: _Optional[int] = ..., hello: _Optional[_Union[ClientFrame.Hello, _Mapping]] = ..., sync: _Optional[_Union[ClientFrame.Sync, _Mapping]] = ..., ping: _Optional[_Union[ClientFrame.Ping, _Mapping]] = ..., create: _Optional[_Union[ClientFrame.Create, _Mapping]] = ..., join: _Optional[_Union[ClientFrame.Join, _Mapping]] = ..., leave: _Optional[_Union[ClientFrame.Leave, _Mapping]] = ..., members: _Optional[_Union[ClientFrame.ListMembers, _Mapping]] = ..., send: _Optional[_Union[ClientFrame.Send, _Mapping]] = ..., watch: _Optional[_Union[ClientFrame.Watch, _Mapping]] = ..., history: _Optional[_Union[ClientFrame.History, _Mapping]] = ..., ack: _Optional[_Union[ClientFrame.Ack, _Mapping]] = ..., read: _Optional[_Union[ClientFrame.Read, _Mapping]] = ..., unread: _Optional[_Union[ClientFrame.Unread, _Mapping]] = ..., recall: _Optional[_Union[ClientFrame.Recall, _Mapping]] = ..., role: _Optional[_Union[ClientFrame.Role, _Mapping]] = ..., mute: _Optional[_Union[ClientFrame.Mute, _Mapping]] = ..., policy: _Optional[_Union[ClientFrame.ChangePolicy, _Mapping]] = ..., close: _Optional[_Union[ClientFrame.Close, _Mapping]] = ..., trim: _Optional[_Union[ClientFrame.Trim, _Mapping]] = ..., chunk: _Optional[_Union[ClientFrame.Chunk, _Mapping]] = ..., notices: _Optional[_Union[ClientFrame.Notices, _Mapping]] = ..., open: _Optional[_Union[ClientFrame.Open, _Mapping]] = ..., publish: _Optional[_Union[ClientFrame.Publish, _Mapping]] = ..., release: _Optional[_Union[ClientFrame.Release, _Mapping]] = ..., withdraw: _Optional[_Union[ClientFrame.Withdraw, _Mapping]] = ..., board: _Optional[_Union[ClientFrame.ShowBoard, _Mapping]] = ..., entries: _Optional[_Union[ClientFrame.Entries, _Mapping]] = ..., preview: _Optional[_Union[ClientFrame.Preview, _Mapping]] = ..., post: _Optional[_Union[ClientFrame.MakePost, _Mapping]] = ..., edit: _Optional[_Union[ClientFrame.EditPost, _Mapping]] = ..., delete: _Optional[_Union[ClientFrame.DeletePost, _Mapping]] = ..., state: _Optional[_Union[ClientFrame.SetState, _Mapping]] = ..., follow: _Optional[_Union[ClientFrame.Follow, _Mapping]] = ..., unfollow: _Optional[_Union[ClientFrame.Unfollow, _Mapping]] = ..., block: _Optional[_Union[ClientFrame.Block, _Mapping]] = ..., unblock: _Optional[_Union[ClientFrame.Unblock, _Mapping]] = ..., author: _Optional[_Union[ClientFrame.ShowAuthor, _Mapping]] = ..., mode: _Optional[_Union[ClientFrame.ChooseDelivery, _Mapping]] = ..., feed: _Optional[_Union[ClientFrame.Feed, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("ref_text", "ref_number", "welcome", "resumed", "sync", "created", "joined", "left", "members", "sent", "watching", "history", "cursor", "recalled", "done", "pong", "message", "head", "gap", "reconnect", "error", "chunk", "notice", "withdrawn", "opened", "notices", "published", "released", "withdrew", "board", "entries", "preview", "progress", "posted", "author", "feed", "new_posts", "post_changed")
    class Welcome(_message.Message):
        __slots__ = ("user", "session", "limits", "heartbeat_ms")
        USER_FIELD_NUMBER: _ClassVar[int]
        SESSION_FIELD_NUMBER: _ClassVar[int]
        LIMITS_FIELD_NUMBER: _ClassVar[int]
        HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
        user: str
        session: str
        limits: Limits
        heartbeat_ms: int
        def __init__(self, user: _Optional[str] = ..., session: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., heartbeat_ms: _Optional[int] = ...) -> None: ...
    class Chunk(_message.Message):
        __slots__ = ("id", "part", "of", "data")
        ID_FIELD_NUMBER: _ClassVar[int]
        PART_FIELD_NUMBER: _ClassVar[int]
        OF_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        id: int
        part: int
        of: int
        data: bytes
        def __init__(self, id: _Optional[int] = ..., part: _Optional[int] = ..., of: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
    class Resumed(_message.Message):
        __slots__ = ("mailbox", "epoch", "head", "recovered")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        RECOVERED_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        epoch: str
        head: int
        recovered: bool
        def __init__(self, mailbox: _Optional[str] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ..., recovered: _Optional[bool] = ...) -> None: ...
    class Sync(_message.Message):
        __slots__ = ("mailboxes", "unread")
        class UnreadEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: int
            def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
        MAILBOXES_FIELD_NUMBER: _ClassVar[int]
        UNREAD_FIELD_NUMBER: _ClassVar[int]
        mailboxes: _containers.RepeatedCompositeFieldContainer[Listed]
        unread: _containers.ScalarMap[str, int]
        def __init__(self, mailboxes: _Optional[_Iterable[_Union[Listed, _Mapping]]] = ..., unread: _Optional[_Mapping[str, int]] = ...) -> None: ...
    class Created(_message.Message):
        __slots__ = ("mailbox", "epoch", "head")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        epoch: str
        head: int
        def __init__(self, mailbox: _Optional[str] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ...) -> None: ...
    class Joined(_message.Message):
        __slots__ = ("mailbox", "members", "epoch", "head")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        members: _containers.RepeatedScalarFieldContainer[str]
        epoch: str
        head: int
        def __init__(self, mailbox: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ...) -> None: ...
    class Left(_message.Message):
        __slots__ = ("mailbox", "members", "epoch", "head")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        members: _containers.RepeatedScalarFieldContainer[str]
        epoch: str
        head: int
        def __init__(self, mailbox: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ...) -> None: ...
    class Members(_message.Message):
        __slots__ = ("mailbox", "members", "more")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        members: _containers.RepeatedCompositeFieldContainer[Member]
        more: bool
        def __init__(self, mailbox: _Optional[str] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...
    class Sent(_message.Message):
        __slots__ = ("mailbox", "id", "seq", "ts", "duplicate")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        TS_FIELD_NUMBER: _ClassVar[int]
        DUPLICATE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        id: str
        seq: int
        ts: int
        duplicate: bool
        def __init__(self, mailbox: _Optional[str] = ..., id: _Optional[str] = ..., seq: _Optional[int] = ..., ts: _Optional[int] = ..., duplicate: _Optional[bool] = ...) -> None: ...
    class Watching(_message.Message):
        __slots__ = ("mailbox", "epoch", "head", "mode")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        epoch: str
        head: int
        mode: str
        def __init__(self, mailbox: _Optional[str] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ..., mode: _Optional[str] = ...) -> None: ...
    class History(_message.Message):
        __slots__ = ("mailbox", "epoch", "head", "messages", "more", "place")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        MESSAGES_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        PLACE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        epoch: str
        head: int
        messages: _containers.RepeatedCompositeFieldContainer[Item]
        more: bool
        place: Place
        def __init__(self, mailbox: _Optional[str] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., more: _Optional[bool] = ..., place: _Optional[_Union[Place, _Mapping]] = ...) -> None: ...
    class Cursor(_message.Message):
        __slots__ = ("mailbox", "read", "unread")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        READ_FIELD_NUMBER: _ClassVar[int]
        UNREAD_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        read: int
        unread: int
        def __init__(self, mailbox: _Optional[str] = ..., read: _Optional[int] = ..., unread: _Optional[int] = ...) -> None: ...
    class Recalled(_message.Message):
        __slots__ = ("mailbox", "seq", "by")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        BY_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        seq: int
        by: str
        def __init__(self, mailbox: _Optional[str] = ..., seq: _Optional[int] = ..., by: _Optional[str] = ...) -> None: ...
    class Done(_message.Message):
        __slots__ = ("of", "mailbox", "floor", "more", "post", "author", "followers", "members", "mode")
        OF_FIELD_NUMBER: _ClassVar[int]
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        FLOOR_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        POST_FIELD_NUMBER: _ClassVar[int]
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        FOLLOWERS_FIELD_NUMBER: _ClassVar[int]
        MEMBERS_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        of: str
        mailbox: str
        floor: int
        more: bool
        post: str
        author: str
        followers: int
        members: _containers.RepeatedScalarFieldContainer[str]
        mode: str
        def __init__(self, of: _Optional[str] = ..., mailbox: _Optional[str] = ..., floor: _Optional[int] = ..., more: _Optional[bool] = ..., post: _Optional[str] = ..., author: _Optional[str] = ..., followers: _Optional[int] = ..., members: _Optional[_Iterable[str]] = ..., mode: _Optional[str] = ...) -> None: ...
    class Pong(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Message(_message.Message):
        __slots__ = ("mailbox", "seq", "id", "ts", "body", "recalled")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        FROM_FIELD_NUMBER: _ClassVar[int]
        TS_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        RECALLED_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        seq: int
        id: str
        ts: int
        body: bytes
        recalled: bool
        def __init__(self, mailbox: _Optional[str] = ..., seq: _Optional[int] = ..., id: _Optional[str] = ..., ts: _Optional[int] = ..., body: _Optional[bytes] = ..., recalled: _Optional[bool] = ..., **kwargs) -> None: ...
    class Head(_message.Message):
        __slots__ = ("mailbox", "head", "unread")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        HEAD_FIELD_NUMBER: _ClassVar[int]
        UNREAD_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        head: int
        unread: int
        def __init__(self, mailbox: _Optional[str] = ..., head: _Optional[int] = ..., unread: _Optional[int] = ...) -> None: ...
    class Gap(_message.Message):
        __slots__ = ("mailbox", "to")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        FROM_FIELD_NUMBER: _ClassVar[int]
        TO_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        to: int
        def __init__(self, mailbox: _Optional[str] = ..., to: _Optional[int] = ..., **kwargs) -> None: ...
    class Reconnect(_message.Message):
        __slots__ = ("after_ms",)
        AFTER_MS_FIELD_NUMBER: _ClassVar[int]
        after_ms: int
        def __init__(self, after_ms: _Optional[int] = ...) -> None: ...
    class Error(_message.Message):
        __slots__ = ("code", "message", "retriable", "retry_after", "mailbox")
        CODE_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        RETRIABLE_FIELD_NUMBER: _ClassVar[int]
        RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        code: str
        message: str
        retriable: bool
        retry_after: float
        mailbox: str
        def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., retriable: _Optional[bool] = ..., retry_after: _Optional[float] = ..., mailbox: _Optional[str] = ...) -> None: ...
    class Notice(_message.Message):
        __slots__ = ("mailbox", "publish", "entry", "title", "body", "ts", "expires", "priority", "again", "opened")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        ENTRY_FIELD_NUMBER: _ClassVar[int]
        TITLE_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        TS_FIELD_NUMBER: _ClassVar[int]
        EXPIRES_FIELD_NUMBER: _ClassVar[int]
        PRIORITY_FIELD_NUMBER: _ClassVar[int]
        AGAIN_FIELD_NUMBER: _ClassVar[int]
        OPENED_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        entry: int
        title: str
        body: bytes
        ts: int
        expires: int
        priority: str
        again: bool
        opened: bool
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ..., entry: _Optional[int] = ..., title: _Optional[str] = ..., body: _Optional[bytes] = ..., ts: _Optional[int] = ..., expires: _Optional[int] = ..., priority: _Optional[str] = ..., again: _Optional[bool] = ..., opened: _Optional[bool] = ...) -> None: ...
    class Withdrawn(_message.Message):
        __slots__ = ("mailbox", "publish")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ...) -> None: ...
    class Opened(_message.Message):
        __slots__ = ("mailbox", "publish")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ...) -> None: ...
    class Notices(_message.Message):
        __slots__ = ("notices", "more")
        NOTICES_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        notices: _containers.RepeatedCompositeFieldContainer[Event.Notice]
        more: bool
        def __init__(self, notices: _Optional[_Iterable[_Union[Event.Notice, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...
    class Accepted(_message.Message):
        __slots__ = ("mailbox", "publish", "entry", "ts", "duplicate")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        ENTRY_FIELD_NUMBER: _ClassVar[int]
        TS_FIELD_NUMBER: _ClassVar[int]
        DUPLICATE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        entry: int
        ts: int
        duplicate: bool
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ..., entry: _Optional[int] = ..., ts: _Optional[int] = ..., duplicate: _Optional[bool] = ...) -> None: ...
    class Board(_message.Message):
        __slots__ = ("mailboxes",)
        MAILBOXES_FIELD_NUMBER: _ClassVar[int]
        mailboxes: _containers.RepeatedCompositeFieldContainer[PublicMailbox]
        def __init__(self, mailboxes: _Optional[_Iterable[_Union[PublicMailbox, _Mapping]]] = ...) -> None: ...
    class Entries(_message.Message):
        __slots__ = ("mailbox", "entries", "more")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        entries: _containers.RepeatedCompositeFieldContainer[Entry]
        more: bool
        def __init__(self, mailbox: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...
    class Preview(_message.Message):
        __slots__ = ("mailbox", "publish", "user", "reached", "why", "notice")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        USER_FIELD_NUMBER: _ClassVar[int]
        REACHED_FIELD_NUMBER: _ClassVar[int]
        WHY_FIELD_NUMBER: _ClassVar[int]
        NOTICE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        user: str
        reached: int
        why: str
        notice: Event.Notice
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ..., user: _Optional[str] = ..., reached: _Optional[int] = ..., why: _Optional[str] = ..., notice: _Optional[_Union[Event.Notice, _Mapping]] = ...) -> None: ...
    class Progress(_message.Message):
        __slots__ = ("mailbox", "publish", "entry", "planned", "done")
        MAILBOX_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        ENTRY_FIELD_NUMBER: _ClassVar[int]
        PLANNED_FIELD_NUMBER: _ClassVar[int]
        DONE_FIELD_NUMBER: _ClassVar[int]
        mailbox: str
        publish: int
        entry: int
        planned: int
        done: int
        def __init__(self, mailbox: _Optional[str] = ..., publish: _Optional[int] = ..., entry: _Optional[int] = ..., planned: _Optional[int] = ..., done: _Optional[int] = ...) -> None: ...
    class Posted(_message.Message):
        __slots__ = ("id", "post", "seq", "ts", "duplicate")
        ID_FIELD_NUMBER: _ClassVar[int]
        POST_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        TS_FIELD_NUMBER: _ClassVar[int]
        DUPLICATE_FIELD_NUMBER: _ClassVar[int]
        id: str
        post: str
        seq: int
        ts: int
        duplicate: bool
        def __init__(self, id: _Optional[str] = ..., post: _Optional[str] = ..., seq: _Optional[int] = ..., ts: _Optional[int] = ..., duplicate: _Optional[bool] = ...) -> None: ...
    class Author(_message.Message):
        __slots__ = ("author", "followers", "following", "posts", "follows", "mode")
        AUTHOR_FIELD_NUMBER: _ClassVar[int]
        FOLLOWERS_FIELD_NUMBER: _ClassVar[int]
        FOLLOWING_FIELD_NUMBER: _ClassVar[int]
        POSTS_FIELD_NUMBER: _ClassVar[int]
        FOLLOWS_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        author: str
        followers: int
        following: int
        posts: int
        follows: bool
        mode: str
        def __init__(self, author: _Optional[str] = ..., followers: _Optional[int] = ..., following: _Optional[int] = ..., posts: _Optional[int] = ..., follows: _Optional[bool] = ..., mode: _Optional[str] = ...) -> None: ...
    class Feed(_message.Message):
        __slots__ = ("posts", "last_id", "new", "snapshot", "expires")
        POSTS_FIELD_NUMBER: _ClassVar[int]
        LAST_ID_FIELD_NUMBER: _ClassVar[int]
        NEW_FIELD_NUMBER: _ClassVar[int]
        SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
        EXPIRES_FIELD_NUMBER: _ClassVar[int]
        posts: _containers.RepeatedCompositeFieldContainer[Post]
        last_id: str
        new: int
        snapshot: str
        expires: int
        def __init__(self, posts: _Optional[_Iterable[_Union[Post, _Mapping]]] = ..., last_id: _Optional[str] = ..., new: _Optional[int] = ..., snapshot: _Optional[str] = ..., expires: _Optional[int] = ...) -> None: ...
    class NewPosts(_message.Message):
        __slots__ = ("count", "more")
        COUNT_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        count: int
        more: bool
        def __init__(self, count: _Optional[int] = ..., more: _Optional[bool] = ...) -> None: ...
    class PostChanged(_message.Message):
        __slots__ = ("post", "deleted", "body", "state", "edited")
        POST_FIELD_NUMBER: _ClassVar[int]
        DELETED_FIELD_NUMBER: _ClassVar[int]
        BODY_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        EDITED_FIELD_NUMBER: _ClassVar[int]
        post: str
        deleted: bool
        body: bytes
        state: str
        edited: int
        def __init__(self, post: _Optional[str] = ..., deleted: _Optional[bool] = ..., body: _Optional[bytes] = ..., state: _Optional[str] = ..., edited: _Optional[int] = ...) -> None: ...
    REF_TEXT_FIELD_NUMBER: _ClassVar[int]
    REF_NUMBER_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    SYNC_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    WATCHING_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    WITHDREW_FIELD_NUMBER: _ClassVar[int]
    BOARD_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    POSTED_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    NEW_POSTS_FIELD_NUMBER: _ClassVar[int]
    POST_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ref_text: str
    ref_number: int
    welcome: Event.Welcome
    resumed: Event.Resumed
    sync: Event.Sync
    created: Event.Created
    joined: Event.Joined
    left: Event.Left
    members: Event.Members
    sent: Event.Sent
    watching: Event.Watching
    history: Event.History
    cursor: Event.Cursor
    recalled: Event.Recalled
    done: Event.Done
    pong: Event.Pong
    message: Event.Message
    head: Event.Head
    gap: Event.Gap
    reconnect: Event.Reconnect
    error: Event.Error
    chunk: Event.Chunk
    notice: Event.Notice
    withdrawn: Event.Withdrawn
    opened: Event.Opened
    notices: Event.Notices
    published: Event.Accepted
    released: Event.Accepted
    withdrew: Event.Accepted
    board: Event.Board
    entries: Event.Entries
    preview: Event.Preview
    progress: Event.Progress
    posted: Event.Posted
    author: Event.Author
    feed: Event.Feed
    new_posts: Event.NewPosts
    post_changed: Event.PostChanged
    def __init__(self, ref_text: _Optional[str] = ..., ref_number: _Optional[int] = ..., welcome: _Optional[_Union[Event.Welcome, _Mapping]] = ..., resumed: _Optional[_Union[Event.Resumed, _Mapping]] = ..., sync: _Optional[_Union[Event.Sync, _Mapping]] = ..., created: _Optional[_Union[Event.Created, _Mapping]] = ..., joined: _Optional[_Union[Event.Joined, _Mapping]] = ..., left: _Optional[_Union[Event.Left, _Mapping]] = ..., members: _Optional[_Union[Event.Members, _Mapping]] = ..., sent: _Optional[_Union[Event.Sent, _Mapping]] = ..., watching: _Optional[_Union[Event.Watching, _Mapping]] = ..., history: _Optional[_Union[Event.History, _Mapping]] = ..., cursor: _Optional[_Union[Event.Cursor, _Mapping]] = ..., recalled: _Optional[_Union[Event.Recalled, _Mapping]] = ..., done: _Optional[_Union[Event.Done, _Mapping]] = ..., pong: _Optional[_Union[Event.Pong, _Mapping]] = ..., message: _Optional[_Union[Event.Message, _Mapping]] = ..., head: _Optional[_Union[Event.Head, _Mapping]] = ..., gap: _Optional[_Union[Event.Gap, _Mapping]] = ..., reconnect: _Optional[_Union[Event.Reconnect, _Mapping]] = ..., error: _Optional[_Union[Event.Error, _Mapping]] = ..., chunk: _Optional[_Union[Event.Chunk, _Mapping]] = ..., notice: _Optional[_Union[Event.Notice, _Mapping]] = ..., withdrawn: _Optional[_Union[Event.Withdrawn, _Mapping]] = ..., opened: _Optional[_Union[Event.Opened, _Mapping]] = ..., notices: _Optional[_Union[Event.Notices, _Mapping]] = ..., published: _Optional[_Union[Event.Accepted, _Mapping]] = ..., released: _Optional[_Union[Event.Accepted, _Mapping]] = ..., withdrew: _Optional[_Union[Event.Accepted, _Mapping]] = ..., board: _Optional[_Union[Event.Board, _Mapping]] = ..., entries: _Optional[_Union[Event.Entries, _Mapping]] = ..., preview: _Optional[_Union[Event.Preview, _Mapping]] = ..., progress: _Optional[_Union[Event.Progress, _Mapping]] = ..., posted: _Optional[_Union[Event.Posted, _Mapping]] = ..., author: _Optional[_Union[Event.Author, _Mapping]] = ..., feed: _Optional[_Union[Event.Feed, _Mapping]] = ..., new_posts: _Optional[_Union[Event.NewPosts, _Mapping]] = ..., post_changed: _Optional[_Union[Event.PostChanged, _Mapping]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("body_bytes", "frame_bytes", "frames_per_second", "frames_at_once", "watched", "requests", "resume_messages", "publish_bytes", "chunk_bytes", "assembly_bytes")
    BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FRAMES_AT_ONCE_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    ASSEMBLY_BYTES_FIELD_NUMBER: _ClassVar[int]
    body_bytes: int
    frame_bytes: int
    frames_per_second: float
    frames_at_once: int
    watched: int
    requests: int
    resume_messages: int
    publish_bytes: int
    chunk_bytes: int
    assembly_bytes: int
    def __init__(self, body_bytes: _Optional[int] = ..., frame_bytes: _Optional[int] = ..., frames_per_second: _Optional[float] = ..., frames_at_once: _Optional[int] = ..., watched: _Optional[int] = ..., requests: _Optional[int] = ..., resume_messages: _Optional[int] = ..., publish_bytes: _Optional[int] = ..., chunk_bytes: _Optional[int] = ..., assembly_bytes: _Optional[int] = ...) -> None: ...

class Listed(_message.Message):
    __slots__ = ("mailbox", "epoch", "head", "read", "unread", "last", "members", "role", "mode", "closed")
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    mailbox: str
    epoch: str
    head: int
    read: int
    unread: int
    last: Item
    members: int
    role: str
    mode: str
    closed: bool
    def __init__(self, mailbox: _Optional[str] = ..., epoch: _Optional[str] = ..., head: _Optional[int] = ..., read: _Optional[int] = ..., unread: _Optional[int] = ..., last: _Optional[_Union[Item, _Mapping]] = ..., members: _Optional[int] = ..., role: _Optional[str] = ..., mode: _Optional[str] = ..., closed: _Optional[bool] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("user", "role", "joined")
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    user: str
    role: str
    joined: int
    def __init__(self, user: _Optional[str] = ..., role: _Optional[str] = ..., joined: _Optional[int] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("mailbox", "seq", "id", "ts", "body", "recalled", "publish", "entry", "title", "expires", "priority", "opened")
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    mailbox: str
    seq: int
    id: str
    ts: int
    body: bytes
    recalled: bool
    publish: int
    entry: int
    title: str
    expires: int
    priority: str
    opened: bool
    def __init__(self, mailbox: _Optional[str] = ..., seq: _Optional[int] = ..., id: _Optional[str] = ..., ts: _Optional[int] = ..., body: _Optional[bytes] = ..., recalled: _Optional[bool] = ..., publish: _Optional[int] = ..., entry: _Optional[int] = ..., title: _Optional[str] = ..., expires: _Optional[int] = ..., priority: _Optional[str] = ..., opened: _Optional[bool] = ..., **kwargs) -> None: ...

class Post(_message.Message):
    __slots__ = ("post", "author", "seq", "ts", "body", "state", "edited")
    POST_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    post: str
    author: str
    seq: int
    ts: int
    body: bytes
    state: str
    edited: int
    def __init__(self, post: _Optional[str] = ..., author: _Optional[str] = ..., seq: _Optional[int] = ..., ts: _Optional[int] = ..., body: _Optional[bytes] = ..., state: _Optional[str] = ..., edited: _Optional[int] = ...) -> None: ...

class PublicMailbox(_message.Message):
    __slots__ = ("mailbox", "head", "publishes")
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PUBLISHES_FIELD_NUMBER: _ClassVar[int]
    mailbox: str
    head: int
    publishes: _containers.RepeatedCompositeFieldContainer[Published]
    def __init__(self, mailbox: _Optional[str] = ..., head: _Optional[int] = ..., publishes: _Optional[_Iterable[_Union[Published, _Mapping]]] = ...) -> None: ...

class Published(_message.Message):
    __slots__ = ("publish", "id", "by", "ts", "title", "body", "expires", "priority", "audience", "percent", "users", "last", "withdrawn", "stages", "touched", "opened", "online")
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    TOUCHED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    publish: int
    id: str
    by: str
    ts: int
    title: str
    body: bytes
    expires: int
    priority: str
    audience: bytes
    percent: float
    users: _containers.RepeatedScalarFieldContainer[str]
    last: int
    withdrawn: bool
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    touched: int
    opened: int
    online: int
    def __init__(self, publish: _Optional[int] = ..., id: _Optional[str] = ..., by: _Optional[str] = ..., ts: _Optional[int] = ..., title: _Optional[str] = ..., body: _Optional[bytes] = ..., expires: _Optional[int] = ..., priority: _Optional[str] = ..., audience: _Optional[bytes] = ..., percent: _Optional[float] = ..., users: _Optional[_Iterable[str]] = ..., last: _Optional[int] = ..., withdrawn: _Optional[bool] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., touched: _Optional[int] = ..., opened: _Optional[int] = ..., online: _Optional[int] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("entry", "by", "ts", "percent", "users", "touched", "opened")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    TOUCHED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    entry: int
    by: str
    ts: int
    percent: float
    users: int
    touched: int
    opened: int
    def __init__(self, entry: _Optional[int] = ..., by: _Optional[str] = ..., ts: _Optional[int] = ..., percent: _Optional[float] = ..., users: _Optional[int] = ..., touched: _Optional[int] = ..., opened: _Optional[int] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("kind", "at", "seq", "id", "by", "ts", "title", "body", "release", "expires", "priority", "audience", "publish", "expect")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    EXPECT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    at: Position
    seq: int
    id: str
    by: str
    ts: int
    title: str
    body: bytes
    release: Reach
    expires: int
    priority: str
    audience: bytes
    publish: int
    expect: int
    def __init__(self, kind: _Optional[str] = ..., at: _Optional[_Union[Position, _Mapping]] = ..., seq: _Optional[int] = ..., id: _Optional[str] = ..., by: _Optional[str] = ..., ts: _Optional[int] = ..., title: _Optional[str] = ..., body: _Optional[bytes] = ..., release: _Optional[_Union[Reach, _Mapping]] = ..., expires: _Optional[int] = ..., priority: _Optional[str] = ..., audience: _Optional[bytes] = ..., publish: _Optional[int] = ..., expect: _Optional[int] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("post", "join", "history", "member_rate", "mailbox_rate", "retain")
    POST_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    MEMBER_RATE_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_RATE_FIELD_NUMBER: _ClassVar[int]
    RETAIN_FIELD_NUMBER: _ClassVar[int]
    post: str
    join: str
    history: bool
    member_rate: Rate
    mailbox_rate: Rate
    retain: int
    def __init__(self, post: _Optional[str] = ..., join: _Optional[str] = ..., history: _Optional[bool] = ..., member_rate: _Optional[_Union[Rate, _Mapping]] = ..., mailbox_rate: _Optional[_Union[Rate, _Mapping]] = ..., retain: _Optional[int] = ...) -> None: ...

class Reach(_message.Message):
    __slots__ = ("percent", "users")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    percent: float
    users: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, percent: _Optional[float] = ..., users: _Optional[_Iterable[str]] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("per_second", "burst")
    PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    per_second: float
    burst: float
    def __init__(self, per_second: _Optional[float] = ..., burst: _Optional[float] = ...) -> None: ...

class Since(_message.Message):
    __slots__ = ("epoch", "seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    seq: int
    def __init__(self, epoch: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("ts", "mailbox", "seq")
    TS_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ts: int
    mailbox: str
    seq: int
    def __init__(self, ts: _Optional[int] = ..., mailbox: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("offset", "number")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    offset: int
    number: int
    def __init__(self, offset: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...
