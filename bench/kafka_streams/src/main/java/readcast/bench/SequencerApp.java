package readcast.bench;

import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Dedup and sequencing of mailbox commands. Arguments: bootstrap servers, state folder, input topic, output topic.
 *
 * <p>Tuned by trying, each over the whole backlog: batches of 256 kB (64 kB: a tenth slower), linger 100 ms, Streams'
 * default (5 ms: a tenth slower), polls of up to 5,000 records (1,000: no faster), ParallelGC (G1: a tenth slower). Cache
 * size and commit interval are the defaults, 10 MB and 30 s.
 */
public final class SequencerApp {

    private SequencerApp() {}

    public static void main(String[] arguments) {
        KafkaStreams streams = new KafkaStreams(topology(arguments[2], arguments[3]), settings(arguments[0], arguments[1]));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    static Topology topology(String input, String output) {
        return new Topology()
                .addSource("commands", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), input)
                .addProcessor("sequencer", Sequencer::new, "commands")
                .addStateStore(heads(), "sequencer")
                .addStateStore(ids(), "sequencer")
                .addSink("rows", output, Serdes.String().serializer(), Serdes.ByteArray().serializer(), Sequencer::partition, "sequencer");
    }

    /** Few keys, each written again and again: the cache saves most of its changelog. */
    private static StoreBuilder<KeyValueStore<String, Long>> heads() {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(Sequencer.HEADS), Serdes.String(), Serdes.Long())
                .withCachingEnabled()
                .withLoggingEnabled(Map.of());
    }

    /**
     * Each key is written once: a cache saves nothing here and evicts under load (half as fast at 10 MB). One that
     * holds the whole backlog would only put its RocksDB and changelog writes off until after the measurement.
     */
    private static StoreBuilder<KeyValueStore<String, Long>> ids() {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(Sequencer.IDS), Serdes.String(), Serdes.Long())
                .withCachingDisabled()
                .withLoggingEnabled(Map.of());
    }

    private static Properties settings(String bootstrap, String folder) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "kafka-streams-peer");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
        return settings;
    }
}
