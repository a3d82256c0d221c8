import { describe, expect, test } from 'vitest'
import { ActivityJudge, WINDOW_MS } from '../../../../../src-main/engines/qemu/activity.ts'
import { sumDrives } from '../../../../../src-main/engines/qemu/qemu-meter.ts'
import { didNotStart, judgeEnd } from '../../../../../src-main/engines/qemu/supervise/death.ts'
import { acceptOne, connectOnce, migrationUri, socketAddress } from '../../../../../src-main/engines/qemu/supervise/endpoint.ts'
import { cleanEnvironment } from '../../../../../src-main/engines/qemu/supervise/environment.ts'
import { runtimeFor } from '../../../../../src-main/engines/qemu/supervise/launch.ts'
import { KEPT_MESSAGES, lastReason, MessageTail } from '../../../../../src-main/engines/qemu/supervise/message-tail.ts'
import type { ProcessEnd } from '../../../../../src-main/engines/qemu/supervise/qemu-process.ts'
import { tpmArguments } from '../../../../../src-main/engines/qemu/supervise/tpm.ts'
import { linuxUsage, psUsage } from '../../../../../src-main/engines/qemu/usage.ts'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { qemuSpec } from '../../../../support/qemu-spec.ts'

const end = (change: Partial<ProcessEnd> = {}): ProcessEnd => ({ code: 0, signal: null, known: true, messages: '', ...change })

describe('the end of a QEMU', () => {
  test.each([
    [end(), 'guest-shutdown', false, 'guest-poweroff', null],
    [end({ code: null, known: false }), 'guest-shutdown', false, 'guest-poweroff', null],
    [end({ code: null, signal: 'SIGKILL' }), null, true, 'powered-off', null],
    [end(), 'host-qmp-quit', false, 'powered-off', null],
    [end(), 'host-signal', false, 'trap', /another program or by the computer’s shutdown while it ran/],
    [end(), 'guest-panic', false, 'trap', /kernel panicked/],
    [
      end({ code: null, signal: 'SIGKILL' }),
      null,
      false,
      'trap',
      /was killed \(by another program, or because the computer ran out of memory\)/,
    ],
    [end({ code: null, signal: 'SIGSEGV' }), 'guest-shutdown', false, 'trap', /by the signal SIGSEGV/],
    [
      end({ code: 1, messages: 'qemu-system-x86_64: KVM: entry failed\n' }),
      null,
      false,
      'trap',
      /exit status 1\) while it ran this machine: KVM: entry failed\./,
    ],
    [end({ code: null, known: false }), null, false, 'trap', /ended unexpectedly/],
    [end(), null, false, 'trap', /exit status 0/],
  ] as const)('%j after %j, asked: %j → %s', (how, cause, asked, reason, message) => {
    const judged = judgeEnd(how, cause, asked)
    expect(judged.reason).toBe(reason)
    if (message === null) expect(judged.error).toBeNull()
    else expect(judged.error?.message).toMatch(message)
  })

  test('before it ran', () => {
    const messages =
      'qemu-system-x86_64: warning: TCG is slow\nqemu-system-x86_64: unsupported machine type\nUse -machine help to list supported machines\n'
    expect(didNotStart(end({ code: 1, messages })).message).toBe('QEMU did not start the machine: unsupported machine type.')
    expect(didNotStart(end({ code: 3 })).message).toBe('QEMU did not start the machine: it ended by itself (exit status 3).')
  })
})

describe('a network card that macOS does not join', () => {
  const told = (reason: string) =>
    didNotStart(end({ code: 1, messages: `qemu-system-aarch64: -netdev vmnet-bridged,id=nic0-net,ifname=en7: ${reason}\n` }))

  test('for want of rights', () => {
    const error = told('cannot create vmnet interface: general failure (possibly not enough privileges)')
    expect(error.code).toBe('denied')
    expect(error.message).toMatch(/com\.apple\.vm\.networking.*NAT network with forwards/)
    expect(error.details.technical).toMatch(/possibly not enough privileges/)
  })

  test('for want of the computer’s card', () => {
    const error = told("unsupported ifname 'en7', expected one of [ en0 en1 ]")
    expect(error.code).toBe('not-found')
    expect(error.message).toMatch(/no network card “en7” that machines can join\. There is: en0, en1\./)
    expect(told("unsupported ifname 'en7', no supported interfaces available").message).toMatch(/There is none now\./)
  })

  test('for another reason, in macOS’s words', () => {
    expect(told('cannot create vmnet interface: shared service is already in use').message).toMatch(/\(shared service is already in use\)/)
    expect(told('cannot create vmnet interface: shared service is already in use').code).toBe('unavailable')
  })
})

describe('messages', () => {
  test('are kept to a limit, in whole lines', () => {
    const tail = new MessageTail()
    tail.append(utf8('first\n'))
    expect(tail.text()).toBe('first\n')
    for (let at = 0; at < 5000; at++) tail.append(utf8(`message ${at}\n`))
    expect(tail.text().length).toBeLessThanOrEqual(KEPT_MESSAGES)
    expect(tail.text()).toMatch(/^message \d+\n[^]*message 4999\n$/)
  })

  test('of which the last is the reason', () => {
    expect(lastReason('')).toBeNull()
    expect(lastReason('swtpm: warning: x\n')).toBe('warning: x')
    expect(lastReason('error while loading shared libraries: libz.so\n')).toBe('error while loading shared libraries: libz.so')
    expect(lastReason(`/usr/bin/qemu-system-i386: ${'x'.repeat(400)}`)).toHaveLength(300)
  })
})

test('the environment of QEMU has what it needs and no more', () => {
  const env = {
    PATH: '/bin',
    HOME: '/home/a',
    LD_PRELOAD: 'x',
    LD_LIBRARY_PATH: 'x',
    SECRET_TOKEN: 'x',
    LC_ALL: 'de_DE',
    NODE_OPTIONS: 'x',
    COPPICE_TEST_RUN: 'mark',
  }
  expect(cleanEnvironment(env, 'linux')).toEqual({ PATH: '/bin', HOME: '/home/a', LC_ALL: 'C', COPPICE_TEST_RUN: 'mark' })
  expect(cleanEnvironment({ Path: 'C:\\Windows', SYSTEMROOT: 'C:\\Windows', APPDATA: 'x' }, 'win32')).toEqual({
    PATH: 'C:\\Windows',
    SystemRoot: 'C:\\Windows',
  })
})

describe('where QEMU listens', () => {
  const spec = qemuSpec({ serialPorts: 2, nics: [{ id: 'nic-1', model: 'virtio', mac: '52:54:00:00:00:01' }] })

  test('sockets in the private folder', async () => {
    const runtime = await runtimeFor('/run/m', spec, { os: 'linux', arch: 'x64' })
    expect(runtime.qmp).toEqual({ kind: 'unix', path: '/run/m/qmp' })
    expect(migrationUri(runtime.qmp)).toBe('unix:/run/m/qmp')
  })

  test('on Windows, a port of the loopback each, and nothing else', async () => {
    let next = 50_000
    const runtime = await runtimeFor('C:\\run\\m', spec, { os: 'win32', arch: 'x64' }, () => Promise.resolve(next++))
    const inet = (port: number): object => ({ kind: 'inet', port })
    expect(runtime).toMatchObject({
      qmp: inet(50_003),
      tools: inet(50_004),
      serial: [{ endpoint: inet(50_001) }, { endpoint: inet(50_002) }],
      nics: { 'nic-1': inet(50_000) },
      display: inet(50_005),
      tpm: null,
      guestAgent: inet(50_006),
      coppiceAgent: inet(50_007),
    })
    expect(socketAddress(runtime.qmp)).toEqual({ host: '127.0.0.1', port: 50_003 })
    expect(migrationUri(runtime.qmp)).toBe('tcp:127.0.0.1:50003')
  })

  test('a port that we listen on takes one peer', async () => {
    const { endpoint, peer } = await acceptOne({ kind: 'inet', port: 0 }, new AbortController().signal)
    const first = await connectOnce(endpoint)
    const accepted = await peer
    await expect(connectOnce(endpoint)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    first.destroy()
    accepted.destroy()
    const stop = new AbortController()
    const unused = await acceptOne({ kind: 'inet', port: 0 }, stop.signal)
    stop.abort()
    await expect(unused.peer).rejects.toMatchObject({ code: 'cancelled' })
  })
})

test('a TPM ends with its machine', () => {
  expect(tpmArguments('/m/tpm', { kind: 'unix', path: '/run/m/tpm' }, '/run/m/tpm.pid')).toEqual([
    ...['socket', '--tpm2', '--tpmstate', 'dir=/m/tpm,mode=0600'],
    ...['--ctrl', 'type=unixio,path=/run/m/tpm,mode=0600', '--pid', 'file=/run/m/tpm.pid', '--terminate'],
  ])
  expect(tpmArguments('C:\\m', { kind: 'inet', port: 7 }, 'C:\\r\\tpm.pid')).toContain('type=tcp,port=7,bindaddr=127.0.0.1')
})

describe('what a machine costs', () => {
  test('on Linux', () => {
    const stat = '77 (qemu) x) S 1 77 77 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 900 1 2'
    expect(linuxUsage(stat, 'Name:\tqemu\nVmRSS:\t   51200 kB\n')).toEqual({ cpuMicros: 3_000_000, memoryBytes: 51_200 * 1024 })
  })
  test('on macOS', () => {
    expect(psUsage('  51200   1:02:03.45\n')).toEqual({ cpuMicros: 3_723_450_000, memoryBytes: 51_200 * 1024 })
    expect(psUsage(' 8 2-00:00:01')).toEqual({ cpuMicros: 172_801_000_000, memoryBytes: 8192 })
    expect(psUsage('')).toBeNull()
  })
  test('of its drives, the guest’s alone', () => {
    const stats = { rd_bytes: 512, wr_bytes: 1024, rd_operations: 1, wr_operations: 2 }
    expect(
      sumDrives([
        { qdev: '/machine/peripheral/disk-1/virtio-backend', stats },
        { qdev: 'cd', stats },
        { device: 'pflash0', stats },
      ]),
    ).toEqual({
      diskReadBytes: 1024,
      diskWrittenBytes: 2048,
      diskReads: 2,
      diskWrites: 4,
    })
  })
})

test('a guest is called idle or working when that changes', () => {
  const judge = new ActivityJudge()
  judge.begin()
  expect(judge.see({ at: 0, cpuMicros: 0 })).toBeNull()
  expect(judge.see({ at: WINDOW_MS - 1, cpuMicros: 0 })).toBeNull()
  expect(judge.see({ at: WINDOW_MS, cpuMicros: 100_000 })?.health).toBe('idle')
  expect(judge.see({ at: 2 * WINDOW_MS, cpuMicros: 200_000 })).toBeNull()
  expect(judge.see({ at: 3 * WINDOW_MS, cpuMicros: 200_000 + WINDOW_MS * 1000 })?.health).toBe('working')
})
