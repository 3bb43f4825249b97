import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Publish the JPEGs below a folder to Darkroom as one job; needs kafka-clients: Publish FOLDER COLLECTION. */
public class Publish {
    public static void main(String[] arguments) throws Exception {
        String kafka = System.getenv().getOrDefault("KAFKA_BROKERS", "127.0.0.1:9094");
        String darkroom = System.getenv().getOrDefault("DARKROOM_URL", "http://127.0.0.1:8002");
        Path folder = Path.of(arguments[0]).toRealPath();
        String job = "example-" + UUID.randomUUID();

        List<Path> photographs;
        try (var found = Files.walk(folder)) {
            photographs = found.filter(path -> path.toString().endsWith(".jpg")).toList();
        }
        var settings = Map.<String, Object>of("bootstrap.servers", kafka, "acks", "all");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var deliveries = new ArrayList<Future<?>>();
            for (Path path : photographs) {
                String value = String.format(
                        "{\"job_id\": \"%s\", \"collection\": \"%s\", \"path\": \"%s\", \"roots\": [\"%s\"]}",
                        job, arguments[1], escaped(path), escaped(folder));
                var message = new ProducerRecord<>("raw-path", path.toString(), value);
                message.headers().add("job_id", job.getBytes(StandardCharsets.UTF_8));
                deliveries.add(producer.send(message));
            }
            for (Future<?> delivery : deliveries) {
                delivery.get();
            }
        }
        // Only now: the end marker must come behind the files.
        var close = HttpRequest.newBuilder(URI.create(darkroom + "/api/v1/ingest/" + job + "/close"))
                .header("Authorization", "Bearer " + System.getenv().getOrDefault("DARKROOM_API_KEY", ""))
                .POST(HttpRequest.BodyPublishers.noBody())
                .build();
        var answer = HttpClient.newHttpClient().send(close, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 202) {
            throw new IllegalStateException(answer.body());
        }
        System.out.println(job);
    }

    private static String escaped(Path path) {
        return path.toString().replace("\\", "\\\\").replace("\"", "\\\"");
    }
}
