import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface Column<Row> {
  id: string;
  title: string;
  hint?: string;
  /** A CSS grid track: "120px", "minmax(0, 2fr)". Default "minmax(0, 1fr)". */
  width?: string;
  /** Figures stand at the right. */
  number?: boolean;
  /** The last column, where something can be done: it stays in sight when the table is moved sideways. */
  pinned?: boolean;
  cell: (row: Row) => ComponentChildren;
}

interface DataTableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  /** Pixels, about: rows are measured when they are there. */
  rowHeight?: number;
  /** The row that is looked at. */
  current?: string | undefined;
}

const ROW_HEIGHT = 36;
/** A column that shares what is left has at least so much, and all are so far apart, CSS pixels. */
const LEAST = 60;
const GAP = 14;
/** Fewer rows than this are simply all there, and found by the browser's own search. */
const VIRTUAL_FROM = 60;
const MOST_HEIGHT = 560;

/**
 * Rows of a table, of which only those in sight exist when there are many. Roles are spelled out because the rows are
 * grids: a table's own layout cannot leave rows out. On narrow screens each row is a card, with the columns' names in it.
 */
export function DataTable<Row>({ label, columns, rows, keyOf, rowHeight = ROW_HEIGHT, current }: DataTableProps<Row>) {
  const tracks = columns.map(({ width = "minmax(0, 1fr)" }) => width).join(" ");
  const least = columns.reduce((sum, { width = "" }) => sum + GAP + (width.endsWith("px") ? Number.parseInt(width) : LEAST), -GAP);
  const line = (row: Row, at: number, more: object = {}) => {
    const key = keyOf(row);
    return (
      <div key={key} role="row" class="tr" aria-rowindex={at + 2} aria-current={key === current ? "true" : undefined} data-key={key} {...more}>
        {columns.map((column, index) => (
          <div key={column.id} role={index === 0 ? "rowheader" : "cell"} class={classOf("td", column)} data-column={column.id}>
            <span class="caption" aria-hidden="true">{column.title}</span>
            {column.cell(row)}
          </div>
        ))}
      </div>
    );
  };
  const isLong = rows.length >= VIRTUAL_FROM;
  return (
    <div role="table" class={isLong ? "table long" : "table"} aria-label={label} aria-rowcount={rows.length + 1} style={{ "--tracks": tracks, "--least": `${least}px` }}>
      <div role="rowgroup" class="thead">
        <div role="row" class="tr" aria-rowindex={1}>
          {columns.map((column) => <div key={column.id} role="columnheader" class={classOf("th", column)} title={column.hint}>{column.title}</div>)}
        </div>
      </div>
      {isLong
        ? <VirtualRows rows={rows} rowHeight={rowHeight} line={line} />
        : <div role="rowgroup" class="tbody">{rows.map((row, at) => line(row, at))}</div>}
    </div>
  );
}

function classOf(name: string, { number: isNumber = false, pinned: isPinned = false }: Pick<Column<unknown>, "number" | "pinned">): string {
  return `${name}${isNumber ? " number" : ""}${isPinned ? " pinned" : ""}`;
}

interface VirtualRowsProps<Row> {
  rows: readonly Row[];
  rowHeight: number;
  line: (row: Row, at: number, more: object) => ComponentChildren;
}

function VirtualRows<Row>({ rows, rowHeight, line }: VirtualRowsProps<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  const drawn = useSignal(0);
  const list = useRef<Virtualizer<HTMLDivElement, HTMLElement> | null>(null);
  const options = {
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => void drawn.value++,
  };
  if (list.current === null) list.current = new Virtualizer<HTMLDivElement, HTMLElement>(options);
  else list.current.setOptions(options);
  // oxlint-disable-next-line no-underscore-dangle -- the library's names for what a framework's binding calls
  useLayoutEffect(() => list.current!._didMount(), []);
  // oxlint-disable-next-line no-underscore-dangle
  useLayoutEffect(() => list.current!._willUpdate());
  void drawn.value;
  // Its own bar moves the rows sideways, for what is pinned in them: the names of the columns go along.
  const onScroll = ({ currentTarget }: { currentTarget: HTMLElement }): void => void (currentTarget.previousElementSibling!.scrollLeft = currentTarget.scrollLeft);
  return (
    <div ref={scroller} role="rowgroup" class="scroller" tabIndex={0} onScroll={onScroll} style={{ height: `${Math.min(MOST_HEIGHT, list.current.getTotalSize())}px` }}>
      <div class="tbody virtual" style={{ height: `${list.current.getTotalSize()}px` }}>
        {list.current.getVirtualItems().map((item) => line(rows[item.index]!, item.index, { "data-index": item.index, ref: list.current!.measureElement, style: { transform: `translateY(${item.start}px)` } }))}
      </div>
    </div>
  );
}
