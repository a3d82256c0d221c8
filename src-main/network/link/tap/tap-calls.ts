/** Calls of Linux that Node has not: making a TAP device (tuntap.txt of the kernel), joining it to a bridge, and waiting for its frames. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { constants as os } from 'node:os'
import koffi from 'koffi'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { UplinkPlan } from './uplink-plan.ts'

/** linux/if_tun.h */
const TUNSETIFF = 0x400454ca
const TAP_WITHOUT_HEADER = 0x0002 | 0x1000
/** linux/sockios.h */
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
const SIOCBRADDIF = 0x89a2
const IFF_UP = 1
/** struct ifreq (netdevice(7)): a name, and a union. */
const IFREQ = { bytes: 40, nameBytes: 16, value: 16 } as const
const AF_INET = 2
const SOCK_DGRAM = 2
/** poll(2) */
const POLLIN = 1
const EFD_CLOEXEC = 0o2000000
/** ms after which a wait ends by itself: a thread that is ended waits for those that it started, which see it then at the latest. */
const LONGEST_WAIT = 1000

// null: the C library that runs this program, glibc or musl.
const c = koffi.load(null)
const ioctl = c.func('int ioctl(int fd, unsigned long request, void *argument)') as unknown as (
  fd: number,
  request: number,
  argument: Uint8Array,
) => number
const socket = c.func('int socket(int domain, int type, int protocol)') as unknown as (
  domain: number,
  type: number,
  protocol: number,
) => number
const eventfd = c.func('int eventfd(unsigned int value, int flags)') as unknown as (value: number, flags: number) => number
const poll = c.func('int poll(void *fds, unsigned long count, int timeout)') as unknown as (
  fds: Uint8Array,
  count: number,
  timeout: number,
) => number
const read = c.func('intptr_t read(int fd, void *bytes, size_t length)') as unknown as (
  fd: number,
  bytes: Uint8Array,
  length: number,
) => number | bigint
const write = c.func('intptr_t write(int fd, void *bytes, size_t length)') as unknown as (
  fd: number,
  bytes: Uint8Array,
  length: number,
) => number | bigint

const close = c.func('int close(int fd)') as unknown as (fd: number) => number

/**
 * Opens a device for a bridged network. It lasts until it is closed, unless an administrator made it.
 * @throws AppError `unavailable`, `denied`, `busy`: with what to do about it
 */
export function openTap(plan: UplinkPlan): number {
  const fd = openClone()
  try {
    const request = named(plan.kind === 'tap' ? plan.device : 'coppice%d')
    new DataView(request.buffer).setInt16(IFREQ.value, TAP_WITHOUT_HEADER, true)
    if (ioctl(fd, TUNSETIFF, request) < 0) throw refusal(plan, koffi.errno())
    if (plan.kind === 'bridge') join(plan, nameIn(request))
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** False: there was no room, or the device is down. */
export function writeFrame(fd: number, frame: Uint8Array): boolean {
  return Number(write(fd, frame, frame.length)) === frame.length
}

/** Reads one frame. @returns its bytes; 0: there is none now; -1: the device is gone */
export function readFrame(fd: number, into: Uint8Array): number {
  const length = Number(read(fd, into, into.length))
  if (length >= 0) return length
  const error = koffi.errno()
  return error === os.errno.EAGAIN || error === os.errno.EINTR || error === os.errno.EIO ? 0 : -1
}

/** A handle whose bytes (8 of them) end a wait; to be closed by `closeWaker`. */
export function makeWaker(): number {
  const fd = eventfd(0, EFD_CLOEXEC)
  if (fd < 0) throw new AppError('io', `The system gave no event (error ${koffi.errno()}).`)
  return fd
}

/** Node closes what Node has opened, and warns of other handles. */
export function closeWaker(waker: number): void {
  close(waker)
}

/** Blocks this thread until there may be frames (true), or somebody has woken it (false). */
export function waitForFrames(fd: number, waker: number): boolean {
  const fds = new DataView(new ArrayBuffer(16))
  for (const [at, one] of [fd, waker].entries()) {
    fds.setInt32(at * 8, one, true)
    fds.setInt16(at * 8 + 4, POLLIN, true)
  }
  poll(new Uint8Array(fds.buffer), 2, LONGEST_WAIT)
  return fds.getInt16(8 + 6, true) === 0
}

function openClone(): number {
  try {
    return openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM')
      throw new AppError(
        'denied',
        'You may not use /dev/net/tun, by which machines join a bridge. An administrator can allow it.',
        {},
        error,
      )
    throw new AppError('unavailable', 'This Linux has no TAP devices (/dev/net/tun): its module “tun” is not loaded.', {}, error)
  }
}

function refusal(plan: UplinkPlan, error: number): AppError {
  const { EPERM, EACCES, EBUSY } = os.errno
  const technical = { technical: `TUNSETIFF: error ${error}` }
  if (error === EBUSY)
    return new AppError('busy', `The device “${plan.kind === 'tap' ? plan.device : plan.bridge}” is used by another program.`, technical)
  if (error !== EPERM && error !== EACCES) return new AppError('io', `Linux refused a TAP device (error ${error}).`, technical)
  return plan.kind === 'tap'
    ? new AppError(
        'denied',
        `The device “${plan.device}” belongs to another user: an administrator makes one for you with “ip tuntap add dev NAME mode tap user YOU”.`,
        technical,
      )
    : missingRight(plan.bridge, technical)
}

function missingRight(bridge: string, details: { technical: string }): AppError {
  return new AppError(
    'denied',
    `Joining machines to the bridge “${bridge}” needs the right CAP_NET_ADMIN. Without it an administrator makes a device for you, “ip tuntap add dev coppice0 mode tap user YOU” and “ip link set coppice0 master ${bridge} up”, and the network names “coppice0” instead of “${bridge}”.`,
    details,
  )
}

/** Makes the device a port of the bridge, and takes it up. */
function join({ bridge }: { bridge: string }, device: string): void {
  const control = socket(AF_INET, SOCK_DGRAM, 0)
  if (control < 0) throw new AppError('io', `Linux gave no socket (error ${koffi.errno()}).`)
  try {
    const call = (request: number, argument: Uint8Array, what: string): void => {
      if (ioctl(control, request, argument) >= 0) return
      const error = koffi.errno()
      const technical = { technical: `${what}: error ${error}` }
      if (error === os.errno.EPERM) throw missingRight(bridge, technical)
      throw new AppError('io', `The device “${device}” could not be joined to the bridge “${bridge}” (error ${error}).`, technical)
    }
    const member = named(bridge)
    new DataView(member.buffer).setInt32(IFREQ.value, Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'latin1')), true)
    call(SIOCBRADDIF, member, 'SIOCBRADDIF')
    const state = named(device)
    call(SIOCGIFFLAGS, state, 'SIOCGIFFLAGS')
    const flags = new DataView(state.buffer)
    flags.setInt16(IFREQ.value, flags.getInt16(IFREQ.value, true) | IFF_UP, true)
    call(SIOCSIFFLAGS, state, 'SIOCSIFFLAGS')
  } finally {
    close(control)
  }
}

function named(name: string): Uint8Array<ArrayBuffer> {
  const request = new Uint8Array(IFREQ.bytes)
  request.set(Buffer.from(name, 'latin1').subarray(0, IFREQ.nameBytes - 1))
  return request
}

function nameIn(request: Uint8Array): string {
  return Buffer.from(request.subarray(0, IFREQ.nameBytes)).toString('latin1').replace(/\0.*$/s, '')
}
