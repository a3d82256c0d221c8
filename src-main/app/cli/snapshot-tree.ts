/** A machine's snapshots as a tree of text. Pure. */
import { formatBytes } from '../../../src-shared/base/units.ts'
import type { SnapshotTree, SnapshotView } from '../../../src-shared/model/snapshot.ts'

interface Node {
  text: string
  children: Node[]
}

/** One line for each snapshot, and one for where the machine is. */
export function treeLines({ snapshots, current, currentBytes }: SnapshotTree): string[] {
  const here: Node = { text: `you are here (${formatBytes(currentBytes)})`, children: [] }
  const nodes = new Map(snapshots.map((snapshot) => [snapshot.id, { text: textOf(snapshot), children: [] as Node[] }]))
  const roots: Node[] = []
  for (const { id, parent } of snapshots) (nodes.get(parent ?? '')?.children ?? roots).push(nodes.get(id)!)
  ;(nodes.get(current ?? '')?.children ?? roots).push(here)
  return linesOf(roots, '')
}

function textOf({ label, running, by, bytes, id }: SnapshotView): string {
  return `${label} (${formatBytes(bytes)}${running ? ', running' : ''}${by === 'person' ? '' : ', automatic'}) ${id.slice(0, 8)}`
}

function linesOf(nodes: readonly Node[], indent: string): string[] {
  return nodes.flatMap(({ text, children }, at) => {
    const last = at === nodes.length - 1
    return [`${indent}${last ? '└─' : '├─'} ${text}`, ...linesOf(children, `${indent}${last ? '   ' : '│  '}`)]
  })
}
