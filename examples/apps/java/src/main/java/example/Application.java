package example;

import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.util.HtmlUtils;

/** A small web service: a page at /, its health at /healthz. */
@SpringBootApplication
@RestController
public class Application {
  public static void main(String[] arguments) {
    SpringApplication.run(Application.class, arguments);
  }

  @GetMapping("/healthz")
  Map<String, String> health() {
    return Map.of("status", "ok");
  }

  @GetMapping(path = "/", produces = MediaType.TEXT_HTML_VALUE)
  String page(@RequestParam(defaultValue = "world") String name) {
    return "<!doctype html><title>Golden path</title><h1>Hello, " + HtmlUtils.htmlEscape(name) + "</h1><p>from Java</p>";
  }
}
