import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";

/** Applications for the strategies by Maven's and Gradle's plugins, each file by its path. */
export type JavaFiles = Readonly<Record<string, string | Uint8Array>>;

export const jibVersion = "3.4.6";

/** An application that serves one page, with nothing but Java itself. */
export const page = "hello from Java";
/** Serves one page, with nothing but Java itself; `text` is an expression of Java. */
export const mainClass = (text = JSON.stringify(page)): string => `package example;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

public class Main {
  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/", exchange -> {
      byte[] answer = (${text}).getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
      exchange.close();
    });
    server.start();
  }
}
`;

/** A POM; `build` goes into it as it is. */
export function renderPom({ plugins = "", properties = "", more = "" } = {}): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>shop</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    ${properties}
  </properties>
  ${more}
  <build>
    <plugins>
      ${plugins}
    </plugins>
  </build>
</project>
`;
}

/** A POM of one of several modules, which has a parent in the checkout. */
export function renderModule({ artifactId = "", parent = "", plugins = "", more = "" }): string {
  const properties =
    "<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>";
  const own =
    parent === ""
      ? `<groupId>example</groupId><version>1</version>${properties}`
      : `<parent><groupId>example</groupId><artifactId>all</artifactId><version>1</version><relativePath>${parent}</relativePath></parent>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
${own}<artifactId>${artifactId}</artifactId>
${more}
<build><plugins>${plugins}</plugins></build>
</project>
`;
}

export const renderJib = (configuration = ""): string => `<plugin>
        <groupId>com.google.cloud.tools</groupId>
        <artifactId>jib-maven-plugin</artifactId>
        <version>${jibVersion}</version>
        <configuration>${configuration}</configuration>
      </plugin>`;

export const jibApplication = (pom: Parameters<typeof renderPom>[0] = {}): JavaFiles => ({
  "pom.xml": renderPom({ plugins: renderJib(), ...pom }),
  "src/main/java/example/Main.java": mainClass(),
  "src/main/resources/greeting.txt": "hello",
});

export const springBootVersion = "3.5.16";

const springPlugin = (image: string): string => `<plugin>
        <groupId>org.springframework.boot</groupId>
        <artifactId>spring-boot-maven-plugin</artifactId>
        <configuration>
          <!-- The tests' daemon is not where the lifecycle would look for one. -->
          <docker><bindHostToBuilder>true</bindHostToBuilder></docker>
          <image>${image}</image>
        </configuration>
      </plugin>`;
const springWeb = `<dependency>
      <groupId>org.springframework.boot</groupId>
      <artifactId>spring-boot-starter-web</artifactId>
    </dependency>`;

/** A POM whose parent is Spring Boot's. */
const renderSpringPom = (artifactId: string, more: string): string => `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>${springBootVersion}</version>
  </parent>
  <groupId>example</groupId>
  <artifactId>${artifactId}</artifactId>
  <version>1</version>
  <properties><java.version>17</java.version></properties>
  ${more}
</project>
`;

/** Java and settings of an application of Spring Boot; `text` is an expression of Java. */
export const springSources = (text: string): JavaFiles => ({
  "src/main/resources/application.properties": `server.address=127.0.0.1\nserver.port=\${PORT:8080}\nspring.main.banner-mode=off\n`,
  "src/main/java/example/Shop.java": `package example;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Shop {
  public static void main(String[] arguments) {
    SpringApplication.run(Shop.class, arguments);
  }

  @GetMapping("/")
  String page() {
    return ${text};
  }
}
`,
});

/** An application of Spring Boot; `image` goes into the configuration of its plugin. */
export const springApplication = ({ image = "" } = {}): JavaFiles => ({
  "pom.xml": renderSpringPom(
    "shop",
    `<dependencies>
    ${springWeb}
  </dependencies>
  <build>
    <plugins>
      ${springPlugin(image)}
    </plugins>
  </build>`,
  ),
  ...springSources(JSON.stringify(page)),
});

/** Several modules: an application of Spring Boot in `services/web`, and a library that it needs. */
export function springModules(): JavaFiles {
  const modules = "<modules><module>library</module><module>services/web</module></modules>";
  const library =
    "<dependency><groupId>example</groupId><artifactId>library</artifactId><version>1</version></dependency>";
  const text = `public static String text() { return ${JSON.stringify(page)}; }`;
  const pom = { parent: "../../pom.xml", plugins: springPlugin("") };
  const sources = Object.entries(springSources("library.Greeting.text()"));
  return {
    "pom.xml": renderSpringPom("all", `<packaging>pom</packaging>${modules}`),
    "library/pom.xml": renderModule({ artifactId: "library", parent: "../pom.xml" }),
    "library/src/main/java/library/Greeting.java": `package library; public class Greeting { ${text} }`,
    "services/web/pom.xml": renderModule({
      ...{ artifactId: "web", ...pom },
      more: `<dependencies>${springWeb}${library}</dependencies>`,
    }),
    ...Object.fromEntries(sources.map(([path, content]) => [`services/web/${path}`, content])),
  };
}

export async function writeApplication(directory: string, files: JavaFiles): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
}

/**
 * A folder that is a Maven repository with all that building this application takes, and that is kept beside the
 * tests' tools: filled once, by Maven itself, from wherever this machine's Maven gets things. A build sees it where the
 * runner's tools are (`AGENT_TOOLSDIRECTORY`, `RUNNER_TOOL_CACHE`), and is led to it by {@link mirrorSettings}.
 */
export async function fillRepository(
  maven: string,
  name: string,
  files: JavaFiles,
  goals: readonly string[],
): Promise<string> {
  const folder = join(homedir(), ".cache/goldenpath/maven", name);
  if ((await readdir(folder).catch(() => [])).length > 0) return folder;
  const work = await mkdtemp(join(tmpdir(), "goldenpath-maven-"));
  try {
    await writeApplication(work, files);
    const repository = join(work, "repository");
    await runChecked(maven, ["-B", "-q", "-ntp", `-Dmaven.repo.local=${repository}`, "-DskipTests", ...goals], {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], JAVA_HOME: process.env["JAVA_HOME"] },
      cwd: work,
      timeoutMs: 600_000,
    });
    await mkdir(dirname(folder), { recursive: true });
    // Whole, or not there.
    await runChecked("cp", ["-a", repository, `${folder}.new`], { env: { PATH: process.env["PATH"] } });
    await rename(`${folder}.new`, folder);
    return folder;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

export const mirrorSettings = (repository: string): string => `<settings>
  <mirrors><mirror><id>kept</id><mirrorOf>*</mirrorOf><url>file://${repository}</url></mirror></mirrors>
</settings>
`;
