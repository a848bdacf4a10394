import { type DBSchema, type IDBPDatabase, openDB } from "idb";

export interface Order {
  id: string;
  customer: string;
  item: string;
  quantity: number;
  /** ms since 1970 */
  takenAt: number;
  /** The server's number for it; missing = the server does not have it yet. */
  number?: number;
}

interface Schema extends DBSchema {
  orders: { key: string; value: Order };
  outbox: { key: number; value: unknown };
}

export type Database = IDBPDatabase<Schema>;

/** The application's own data, and beside it the outbox: a transaction can write both. */
export function openDatabase(): Promise<Database> {
  return openDB<Schema>("order-pad", 1, {
    upgrade(db) {
      db.createObjectStore("orders", { keyPath: "id" });
      db.createObjectStore("outbox", { autoIncrement: true });
    },
  });
}
