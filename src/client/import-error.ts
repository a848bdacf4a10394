import { type ErrorCode, MQError, type MQErrorOptions } from "../model/errors.ts";

/** An import that came to no good end: where, and how far it got. */
export class ImportError extends MQError {
  /** Messages that are stored. No topic shows them: the import can be done again, and then goes on behind them. */
  readonly imported: number;
  /** The byte of the stream at which the record begins that could not be taken. */
  readonly byte: number;

  constructor(code: ErrorCode, message: string, options: MQErrorOptions & { imported: number; byte: number }) {
    super(code, `${message} At byte ${options.byte}, after ${options.imported} messages.`, options);
    this.imported = options.imported;
    this.byte = options.byte;
  }
}
