/** As much of the W3C WebDriver protocol as the engines need. https://www.w3.org/TR/webdriver2/ */
interface WebDriverError {
  error: string;
  message: string;
}

/** One session with a driver. Its commands go one after another: a window is chosen by one and used by the next. */
export class WebDriverSession {
  readonly #url: string;
  #last: Promise<unknown> = Promise.resolve();
  #window = "";

  static async start(origin: string, capabilities: Record<string, unknown>): Promise<WebDriverSession> {
    const { sessionId } = (await send("POST", `${origin}/session`, { capabilities: { alwaysMatch: capabilities } })) as { sessionId: string };
    return new WebDriverSession(`${origin}/session/${sessionId}`);
  }

  private constructor(url: string) {
    this.#url = url;
  }

  command(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    return this.#alone(() => send(method, `${this.#url}${path}`, body));
  }

  /** A command to one window. */
  inWindow(handle: string, method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    return this.#alone(async () => {
      if (this.#window !== handle) await send("POST", `${this.#url}/window`, { handle });
      // Whoever closes a window has none.
      this.#window = method === "DELETE" ? "" : handle;
      return send(method, `${this.#url}${path}`, body);
    });
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

async function send(method: string, url: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url, { method, ...(method === "POST" ? { body: JSON.stringify(body ?? {}) } : {}) });
  const { value } = (await response.json()) as { value: unknown };
  if (response.ok) return value;
  const { error, message } = value as WebDriverError;
  throw new Error(`WebDriver: ${error}: ${message}`);
}
