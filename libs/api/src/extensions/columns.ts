import type { Cell, TableColumn } from '../table/column';
import { ageColumn, nameColumn } from '../table/columns';
import { since } from '../table/duration';
import { parseJsonPath } from './json-path';
import type { PrinterColumn } from './types';

/** The columns of a custom resource. Source: apiextensions-apiserver registry/customresource/tableconvertor. */
export function customColumns(columns: readonly PrinterColumn[] | undefined): readonly TableColumn[] {
  if (!columns || columns.length === 0) return [nameColumn, ageColumn];
  return [nameColumn, ...columns.map(toColumn)];
}

function toColumn({ name, type, format, description, jsonPath, priority }: PrinterColumn): TableColumn {
  const find = parseJsonPath(jsonPath);
  return {
    name,
    type: type as TableColumn['type'],
    ...(format ? { format } : {}),
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: priority ?? 0,
    cell: (o, nowMs) => {
      const [value] = find(o);
      return value === undefined ? null : cell(type, value, nowMs);
    },
  };
}

function cell(type: string, value: unknown, nowMs: number): Cell {
  switch (type) {
    case 'string':
      return asText(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      if (typeof value !== 'string') return null;
      return Number.isNaN(Date.parse(value)) ? '<invalid>' : since(value, nowMs);
    default:
      return null;
  }
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null ? '<nil>' : JSON.stringify(value);
}
