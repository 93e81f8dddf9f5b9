"""What is packed at once is what aiokafka packs, and what it unpacks is taken for the same."""

from io import BytesIO

from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from aiokafka.protocol.produce import ProduceRequest, ProduceRequest_v7, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from tables.packing import NO_REPLICA, PackedFetch, PackedProduce

INT16 = st.integers(-(1 << 15), (1 << 15) - 1)
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
NAME = st.text(max_size=20)
BATCH = st.binary(max_size=50)


def by_topic(partition):
    return st.lists(st.tuples(NAME, st.lists(partition, max_size=3)), max_size=3)


FETCHED = st.tuples(
    INT32,
    INT16,
    INT64,
    INT64,
    INT64,
    st.none() | st.lists(st.tuples(INT64, INT64), max_size=2),
    INT32,
    st.none() | BATCH,
)
PRODUCED = st.tuples(INT32, INT16, INT64, INT64, INT64)


@given(
    st.lists(INT32, min_size=5, max_size=5),
    st.integers(0, 1),
    by_topic(st.tuples(INT32, INT64, INT32)),
    by_topic(INT32),
    NAME,
)
def test_a_fetch_is_packed_alike(numbers, level, topics, forgotten, rack):
    wait, least, most, session, epoch = numbers
    theirs = FetchRequest(wait, least, most, level, topics, rack).build(FetchRequest_v11)
    theirs.session_id, theirs.session_epoch = session, epoch
    theirs.forgotten_topics_data = forgotten
    ours = PackedFetch(
        NO_REPLICA, wait, least, most, level, session, epoch, topics, forgotten, rack
    )
    assert ours.encode() == theirs.encode()


@given(INT16, INT32, by_topic(st.tuples(INT32, BATCH)))
def test_batches_are_packed_alike(acks, timeout, topics):
    theirs = ProduceRequest(None, acks, timeout, topics).build(ProduceRequest_v7)
    assert PackedProduce(None, acks, timeout, topics).encode() == theirs.encode()


@given(INT32, NAME)
def test_headers_are_packed_alike(correlation, client):
    for ours, theirs in ((PackedFetch, FetchRequest_v11), (PackedProduce, ProduceRequest_v7)):
        packed = ours().build_request_header(correlation, client).encode()
        assert packed == theirs().build_request_header(correlation, client).encode()


def unpacked_alike(request, theirs, *fields):
    """Both of them, read behind the header as the connection does."""
    header = theirs.API_KEY.to_bytes(4)
    response = BytesIO(header + theirs(*fields).encode())
    assert request().parse_response_header(response).correlation_id == theirs.API_KEY
    ours = request.RESPONSE_TYPE.decode(response)
    assert ours == theirs.decode(theirs(*fields).encode())
    assert ours.API_VERSION == theirs.API_VERSION


@given(INT32, INT16, INT32, by_topic(FETCHED))
def test_fetched_records_are_unpacked_alike(throttle, error, session, topics):
    unpacked_alike(PackedFetch, FetchResponse_v11, throttle, error, session, topics)


@given(by_topic(PRODUCED), INT32)
def test_places_of_batches_are_unpacked_alike(topics, throttle):
    unpacked_alike(PackedProduce, ProduceResponse_v7, topics, throttle)
