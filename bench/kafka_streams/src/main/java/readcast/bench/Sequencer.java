package readcast.bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Gives each message of a mailbox the next seq, once per message id. */
final class Sequencer extends ContextualProcessor<String, byte[], String, byte[]> {

    static final String HEADS = "heads";
    static final String IDS = "ids";

    private static final JsonMapper JSON = new JsonMapper();
    private static final ObjectReader COMMANDS = JSON.readerFor(Command.class);
    private static final ObjectWriter ROWS = JSON.writerFor(Row.class);
    private static final HexFormat HEX = HexFormat.of();

    private KeyValueStore<String, Long> heads;
    private KeyValueStore<String, Long> ids;

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Command(String type, String mailbox, String by, String id, JsonNode body) {}

    record Row(long[] at, long seq, String id, @JsonProperty("from") String sender, long ts, JsonNode body) {}

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
        super.init(context);
        heads = context.getStateStore(HEADS);
        ids = context.getStateStore(IDS);
    }

    @Override
    public void process(Record<String, byte[]> record) {
        Command command = decode(record.value());
        if (!"send".equals(command.type())) {
            return;
        }
        String mailbox = record.key();
        String id = mailbox + "/" + command.id();
        if (ids.get(id) != null) {
            return;
        }
        Long head = heads.get(mailbox);
        long seq = head == null ? 1 : head + 1;
        heads.put(mailbox, seq);
        ids.put(id, seq);
        long[] at = {context().recordMetadata().orElseThrow().offset(), 0};
        Row row = new Row(at, seq, command.id(), command.by(), record.timestamp(), command.body());
        context().forward(record.withKey(mailbox + "/m/" + HEX.toHexDigits(seq)).withValue(encode(row)));
    }

    /** All rows of a mailbox share the partition of its id. */
    static Optional<Set<Integer>> partition(String topic, String key, byte[] value, int partitions) {
        byte[] mailbox = key.substring(0, key.indexOf('/')).getBytes();
        return Optional.of(Set.of(Utils.toPositive(Utils.murmur2(mailbox)) % partitions));
    }

    private static Command decode(byte[] json) {
        try {
            return COMMANDS.readValue(json);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static byte[] encode(Row row) {
        try {
            return ROWS.writeValueAsBytes(row);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
