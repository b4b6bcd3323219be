import type { KubeObject } from '../types';

export type Cell = string | number | boolean | null;

/** One printer column. `cell` gets the time as milliseconds since the epoch, for ages. */
export interface TableColumn<T extends KubeObject = KubeObject> {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** "name" marks the column that holds the object's name. */
  format?: string;
  description: string;
  /** 0: always shown; 1: with -o wide. */
  priority: number;
  cell(o: T, nowMs: number): Cell;
}
