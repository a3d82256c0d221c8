import { describe, expect, test } from 'vitest'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { libraryRows, matchesFilter } from '../../../../src-renderer/shell/library-rows.ts'

function machine(name: string, folder: string[] = [], tags: string[] = []): MachineView {
  return { id: name, name, state: 'off', config: { folder, tags } } as unknown as MachineView
}
const shape = (rows: ReturnType<typeof libraryRows>): string[] =>
  rows.map((row) => `${'  '.repeat(row.depth)}${row.kind === 'folder' ? `${row.name}/ ${row.count}` : row.machine.name}`)

const machines = [machine('a'), machine('db', ['Lab', 'Data']), machine('web', ['Lab'], ['nginx'])]

describe('the lines of the sidebar', () => {
  test('are folders first, then machines, at each depth', () => {
    expect(shape(libraryRows(machines, '', new Set()))).toEqual(['Lab/ 2', '  Data/ 1', '    db', '  web', 'a'])
  })
  test('leave out what closed folders hold', () => {
    expect(shape(libraryRows(machines, '', new Set(['Lab/Data'])))).toEqual(['Lab/ 2', '  Data/ 1', '  web', 'a'])
    expect(shape(libraryRows(machines, '', new Set(['Lab'])))).toEqual(['Lab/ 2', 'a'])
  })
  test('show what a filter finds, in closed folders too, and no empty folder', () => {
    expect(shape(libraryRows(machines, 'nginx', new Set(['Lab'])))).toEqual(['Lab/ 1', '  web'])
    expect(libraryRows(machines, 'nothing', new Set())).toEqual([])
  })
})

test('a filter’s words are each looked for in name, tags, folder and state', () => {
  const web = machine('Web 1', ['Lab'], ['nginx'])
  expect(matchesFilter(web, 'lab off NGINX web')).toBe(true)
  expect(matchesFilter(web, 'web running')).toBe(false)
  expect(matchesFilter(web, '   ')).toBe(true)
})

test('a bundle that cannot be read is listed at the top level', () => {
  const broken = { id: 'x', name: 'x', state: 'broken', config: null } as unknown as MachineView
  expect(shape(libraryRows([broken], 'unreadable', new Set()))).toEqual(['x'])
})
