import { type Signal, signal } from "@preact/signals";

/** Where somebody is: a panel, what in it, and how it is looked at. Written as a path: `/topics/orders?group=billing`. */
export interface Route {
  panel: string;
  args: readonly string[];
  query: Readonly<Record<string, string>>;
}

export function parsePath(path: string): Route {
  const mark = path.indexOf("?");
  const [place, search] = mark < 0 ? [path, ""] : [path.slice(0, mark), path.slice(mark + 1)];
  const [panel = "", ...args] = place.split("/").filter((part) => part !== "").map(decoded);
  return { panel, args, query: Object.fromEntries(new URLSearchParams(search)) };
}

function formatPath({ panel, args, query }: Route): string {
  const search = new URLSearchParams(query).toString();
  return `/${[panel, ...args].map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}

/** A path to a panel. Empty values are left out. */
export function pathTo(panel: string, args: readonly string[] = [], query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "");
  return formatPath({ panel, args, query: Object.fromEntries(given) });
}

/** Which panel is shown. The element tells its page of every move; whether that goes into the address is the page's business. */
export class Router {
  readonly route: Signal<Route>;
  readonly #moved: (path: string, replace: boolean) => void;

  constructor(path: string, moved: (path: string, replace: boolean) => void) {
    this.route = signal(parsePath(path));
    this.#moved = moved;
  }

  get path(): string {
    return formatPath(this.route.value);
  }

  /** `replace`: the same place, looked at in another way; no step to go back to. */
  go(path: string, { replace = false }: { replace?: boolean } = {}): void {
    if (path === this.path) return;
    this.route.value = parsePath(path);
    this.#moved(path, replace);
  }

  /** Changes some of the query, and stays in the panel; undefined or "" removes. */
  refine(changes: Readonly<Record<string, string | undefined>>): void {
    const { panel, args, query } = this.route.peek();
    this.go(pathTo(panel, args, { ...query, ...changes }), { replace: true });
  }

  /** The page says where it is; it knows already. */
  follow(path: string): void {
    if (path !== this.path) this.route.value = parsePath(path);
  }
}

/** A path is written by anybody: a stray % is a character like others. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
