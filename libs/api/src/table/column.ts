import type { KubeObject } from '../types';

export type Cell = string | number | boolean | null;

/** One printer column. `cell` gets the time as milliseconds since the epoch, for ages. */
export interface TableColumn<T extends KubeObject = KubeObject> {
  name: string;
  type: 'string' | 'integer' | 'boolean' | 'date';
  /** "name" marks the column that holds the object's name. */
  format?: 'name' | '';
  description: string;
  /** 0: always shown; 1: with -o wide. */
  priority: 0 | 1;
  cell(o: T, nowMs: number): Cell;
}
