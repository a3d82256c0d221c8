/** What needs a machine's files. */

/** Another machine that needs a file of this one: without it, that machine has a disk less, or half of one. */
export interface Dependent {
  machine: { id: string; name: string }
  /** The file, as this machine names it: relative to its bundle. */
  file: string
  /** `drive`: it is a drive of the other machine, used where it is. `below`: a disk of the other machine rests on it. */
  how: 'drive' | 'below'
  /** It is a snapshot of the other machine that needs it, by its label; null: the machine as it is now. */
  snapshot: string | null
}

/** "“b” has “disks/a.img” as a drive", for sentences and lists. */
export function dependentWords({ machine, file, how, snapshot }: Dependent): string {
  const who = snapshot === null ? `“${machine.name}”` : `The snapshot “${snapshot}” of “${machine.name}”`
  return how === 'drive' ? `${who} has “${file}” as a drive` : `${who} has a disk that rests on “${file}”`
}
