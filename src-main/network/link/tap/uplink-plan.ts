/** Which device of this Linux a bridged network is joined to, from what /sys and /proc tell; nothing is changed. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { AppError } from '../../../../src-shared/errors/app-error.ts'

export type UplinkPlan =
  /** A device that an administrator made for us. */
  | { kind: 'tap'; device: string }
  /** A device of ours, which becomes a port of the bridge. */
  | { kind: 'bridge'; bridge: string }

/** linux/if_tun.h: IFF_TAP. */
const TAP_FLAG = 2

/**
 * @param card as the network's document names it; null: the one with the default route
 * @param root of the file system, for tests
 * @throws AppError `not-found`, `unavailable`: with what to do about it
 */
export function planUplink(card: string | null, root = '/'): UplinkPlan {
  const device = card ?? defaultDevice(root)
  if (device === null)
    throw new AppError(
      'not-found',
      'This computer has no network card with a default route. Name the card that the network is to be joined to.',
    )
  const about = join(root, 'sys/class/net', device)
  if (!existsSync(about)) throw new AppError('not-found', `This computer has no network card “${device}”.`)
  if (existsSync(join(about, 'bridge'))) return { kind: 'bridge', bridge: device }
  if ((tunFlags(about) & TAP_FLAG) !== 0) return { kind: 'tap', device }
  if (existsSync(join(about, 'brport'))) return { kind: 'bridge', bridge: basename(readlinkSync(join(about, 'master'))) }
  throw new AppError(
    'unavailable',
    `The network card “${device}” belongs to no bridge, and machines are joined to a bridge. Have an administrator make one with “${device}” in it; or choose the kind “nat”.`,
  )
}

/** proc_net(5), route: destination and mask are zero. */
function defaultDevice(root: string): string | null {
  const path = join(root, 'proc/net/route')
  const lines = existsSync(path) ? readFileSync(path, 'latin1').split('\n').slice(1) : []
  for (const line of lines) {
    const [device, destination, , , , , , mask] = line.split('\t')
    if (device && destination === '00000000' && mask === '00000000') return device
  }
  return null
}

function tunFlags(about: string): number {
  const path = join(about, 'tun_flags')
  return existsSync(path) ? Number(readFileSync(path, 'latin1')) : 0
}
