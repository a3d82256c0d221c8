/** What of a machine's hardware can be changed while it runs. The host says it of each machine that does, the window and the command line show it. */
export const LIVE_KINDS = [
  'cdrom', // insert into and eject from its CD drives
  'floppy',
  'addDisk',
  'removeDisk',
  'limits', // of disks
  'growDisk', // by the disks service
  'addNic',
  'removeNic',
  'link',
  'memory',
  'cpus',
  'pointer',
] as const
export type LiveKind = (typeof LIVE_KINDS)[number]

export interface LiveHardware {
  /** Null: `machines.update` does it now. Else why not, as a sentence. */
  why: Record<LiveKind, string | null>
  /** What `memoryMiB` may be while it runs. The most is what it was started with. */
  memoryMiB: { min: number; max: number }
  /** What `cpus` may be while it runs. The least is what it has. */
  cpus: { min: number; max: number }
  /** Disks and network cards, by id, that the guest was asked for in vain and may still let go of. */
  leaving: string[]
}
