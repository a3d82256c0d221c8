/** The sidebar's lines, from the machines, the filter and the closed folders. Pure. */
import type { MachineView } from '../../src-shared/api/machines.ts'
import { STATE_WORDS } from '../../src-shared/model/machine-state.ts'
import { compareNames, folderKey } from '../state/names.ts'

export type Row =
  | { kind: 'folder'; key: string; name: string; depth: number; open: boolean; count: number }
  | { kind: 'machine'; key: string; machine: MachineView; depth: number }

interface Folder {
  path: string[]
  folders: Map<string, Folder>
  machines: MachineView[]
}

/** Every word of the filter has to be in the name, a tag, the folder or the state. */
export function matchesFilter(machine: MachineView, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return true
  const texts = [machine.name, STATE_WORDS[machine.state], ...(machine.config?.tags ?? []), ...(machine.config?.folder ?? [])]
  const all = texts.join('\n').toLowerCase()
  return words.every((word) => all.includes(word))
}

/**
 * @param machines in the order of their names
 * @param closed keys of closed folders; while a filter is on, all are open
 */
export function libraryRows(machines: readonly MachineView[], filter: string, closed: ReadonlySet<string>): Row[] {
  const filtering = filter.trim() !== ''
  const root: Folder = { path: [], folders: new Map(), machines: [] }
  for (const machine of machines) {
    if (!matchesFilter(machine, filter)) continue
    let folder = root
    for (const name of machine.config?.folder ?? []) {
      let next = folder.folders.get(name)
      if (!next) folder.folders.set(name, (next = { path: [...folder.path, name], folders: new Map(), machines: [] }))
      folder = next
    }
    folder.machines.push(machine)
  }
  const rows: Row[] = []
  const add = (folder: Folder, depth: number): void => {
    for (const child of [...folder.folders.values()].sort((a, b) => compareNames(a.path.at(-1)!, b.path.at(-1)!))) {
      const key = folderKey(child.path)
      const open = filtering || !closed.has(key)
      rows.push({ kind: 'folder', key: `folder:${key}`, name: child.path.at(-1)!, depth, open, count: countOf(child) })
      if (open) add(child, depth + 1)
    }
    for (const machine of folder.machines) rows.push({ kind: 'machine', key: `machine:${machine.id}`, machine, depth })
  }
  add(root, 0)
  return rows
}

function countOf(folder: Folder): number {
  let count = folder.machines.length
  for (const child of folder.folders.values()) count += countOf(child)
  return count
}
