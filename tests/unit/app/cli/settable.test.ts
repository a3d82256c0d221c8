import { describe, expect, it } from 'vitest'
import { KEY_OF_FIELD, patchOf, withoutPassword } from '../../../../src-main/app/cli/settable.ts'
import { errorSentence, UsageError } from '../../../../src-main/app/cli/errors.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { machinePatchSchema, parseMachineConfig } from '../../../../src-shared/model/machine.ts'

const base = { schema: 1, id: '7f3c1f6e-93c1-4c5e-9d39-5a3a0d3b1a11', created: '2026-01-01T00:00:00Z', name: 'web' }
const linux = parseMachineConfig({ ...base, boot: { kind: 'kernel', kernel: 'boot/vmlinuz', initrd: 'boot/initrd', cmdline: 'quiet' } })
const disk = parseMachineConfig({ ...base, boot: { kind: 'firmware' } })

describe('patchOf', () => {
  it('reads every key, several at once', () => {
    const patch = patchOf(
      ['name=db 1', 'memory=512M', 'engine=auto', 'serial-ports=2', 'folder=lab/one', 'tags=a, b,', 'notes=a=b', 'private=on'],
      disk,
    )
    expect(machinePatchSchema.parse(patch)).toEqual({
      name: 'db 1',
      memoryMiB: 512,
      engine: 'auto',
      serialPorts: 2,
      folder: ['lab', 'one'],
      tags: ['a', 'b'],
      notes: 'a=b',
      private: true,
    })
    expect(patchOf(['folder=', 'tags=', 'notes=', 'private=off'], disk)).toEqual({ folder: [], tags: [], notes: '', private: false })
  })

  it('reads the keys of hardware', () => {
    const keys = ['engine=qemu', 'arch=x86_64', 'cpus=4', 'firmware=uefi', 'tpm=on', 'devices=legacy', 'display=none']
    expect(machinePatchSchema.parse(patchOf(keys, disk))).toEqual({
      ...{ engine: 'qemu', arch: 'x86_64', cpus: 4, firmware: 'uefi', tpm: true, devices: 'legacy', display: 'none' },
    })
  })

  it('changes one drive, one card, one shared folder', () => {
    const nic = { id: 'nic0', model: 'virtio' as const, mac: '52:54:00:00:00:01' }
    const machine = parseMachineConfig({
      ...{ ...base, boot: { kind: 'firmware' }, nics: [nic] },
      drives: ['disk0', 'disk1'].map((id) => ({ id, kind: 'disk', path: `${id}.img` })),
      sharedFolders: [{ tag: 'old', path: '/old' }],
    })
    const keys = ['nic-model=nic0:e1000e', 'limits=disk1:iops=500,bps=20M', 'share=src:/srv/a:b:rw', 'share=docs:/srv/docs', 'share=old:']
    const patch = machinePatchSchema.parse(patchOf(keys, machine))
    expect(patch.nics).toEqual([{ ...nic, link: 'auto', network: null, model: 'e1000e' }])
    expect(patch.drives?.map(({ limits }) => limits)).toEqual([null, { iops: 500, bytesPerSecond: 20 * 1024 * 1024 }])
    expect(patch.sharedFolders).toEqual([
      { tag: 'src', path: '/srv/a:b', readOnly: false },
      { tag: 'docs', path: '/srv/docs', readOnly: true },
    ])
    expect(patchOf(['limits=disk0:'], machine).drives?.[0]?.limits).toBeNull()
    expect(() => patchOf(['limits=disk7:iops=1'], machine)).toThrow('limits: There is no drive “disk7”. There is disk0, disk1.')
    expect(() => patchOf(['limits=disk0:speed=1'], machine)).toThrow('limits: “speed” is not a limit. Choose iops or bps.')
    expect(() => patchOf(['nic-model=nic0:3com'], machine)).toThrow('nic-model: “3com” is not a model. Choose virtio, e1000e,')
    expect(() => patchOf(['engine=xen'], machine)).toThrow('engine: “xen” is not an engine. Choose auto, embedded, qemu.')
  })

  it('changes what is in drives, adds and removes disks and cards, plugs cables', () => {
    const machine = parseMachineConfig({
      ...{ ...base, boot: { kind: 'firmware' }, nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }] },
      drives: [
        { id: 'disk0', kind: 'disk', path: 'disk0.img' },
        { id: 'cd0', kind: 'cdrom', path: null },
        { id: 'cd1', kind: 'cdrom', path: '/old.iso' },
      ],
    })
    const drives = (...keys: string[]): unknown => patchOf(keys, machine).drives?.map(({ id, path }) => [id, path])
    const rest = [['cd1', '/old.iso']]
    expect(drives('cd=/a:b.iso')).toEqual([['disk0', 'disk0.img'], ['cd0', '/a:b.iso'], ...rest])
    expect(drives('cd=cd1:/new.iso', 'cd=cd0:none')).toEqual([
      ['disk0', 'disk0.img'],
      ['cd0', null],
      ['cd1', '/new.iso'],
    ])
    expect(drives('floppy=/f.img', 'disk=data:/d.img')).toEqual([
      ...[['disk0', 'disk0.img'], ['cd0', null], ...rest],
      ...[
        ['floppy0', '/f.img'],
        ['data', '/d.img'],
      ],
    ])
    expect(drives('disk=disk0:')).toEqual([['cd0', null], ...rest])
    expect(patchOf(['disk=data:/d.img:ro'], machine).drives?.at(-1)).toMatchObject({ path: '/d.img', readOnly: true })
    expect(patchOf(['nic=nic1:e1000', 'link=nic0:down'], machine).nics).toMatchObject([
      { id: 'nic0', link: 'down' },
      { id: 'nic1', model: 'e1000', link: 'auto', network: null },
    ])
    expect(patchOf(['nic=nic0:'], machine).nics).toEqual([])
    expect(() => patchOf(['floppy=none'], machine)).toThrow('floppy: The machine has no floppy drive.')
    expect(() => patchOf(['disk=cd0:/d.img'], machine)).toThrow('disk: There is “cd0” already.')
    expect(() => patchOf(['disk=data:'], machine)).toThrow('disk: There is no drive “data”.')
    expect(() => patchOf(['link=nic0:maybe'], machine)).toThrow('link: “maybe” is not a link.')
  })

  it('plugs disks in elsewhere, and puts drives and what is tried into an order', () => {
    const machine = parseMachineConfig({
      ...{ ...base, boot: { kind: 'firmware' } },
      drives: [...['disk0', 'disk1'].map((id) => ({ id, kind: 'disk', path: `${id}.img` })), { id: 'cd0', kind: 'cdrom', path: null }],
    })
    const drives = (...keys: string[]) => patchOf(keys, machine).drives!
    expect(drives('bus=disk0:nvme', 'cache=disk0:unsafe', 'bus=disk1:sata', 'read-only=disk1:on')).toMatchObject([
      { id: 'disk0', bus: 'nvme', cache: 'unsafe' },
      { id: 'disk1', bus: 'ata', readOnly: true },
      { id: 'cd0' },
    ])
    expect('bus' in drives('bus=disk0:nvme', 'bus=disk0:auto')[0]!).toBe(false)
    expect(drives('drive-order=cd0,disk1').map(({ id }) => id)).toEqual(['cd0', 'disk1', 'disk0'])
    expect(patchOf(['boot=cdrom,disk'], machine)).toEqual({ boot: { kind: 'firmware', order: ['cdrom', 'disk'] } })
    expect(drives('disk=net:nbd://server:10809/a')[3]).toMatchObject({ id: 'net', path: 'nbd://server:10809/a' })
    expect(() => patchOf(['bus=disk0:scsi'], machine)).toThrow('bus: “scsi” is not a bus. Choose auto, virtio, ata, nvme, usb, sata, ide.')
    expect(() => patchOf(['cache=disk9:none'], machine)).toThrow('cache: There is no disk “disk9”.')
    expect(() => patchOf(['drive-order=disk0,disk0'], machine)).toThrow('drive-order: “disk0” stands there twice.')
    expect(() => patchOf(['drive-order=disk7'], machine)).toThrow('drive-order: There is no drive “disk7”.')
    expect(() => patchOf(['boot=net'], machine)).toThrow('boot: “net” is not a kind of drive.')
    expect(() => patchOf(['disk=net:nbds://server/a'], machine)).toThrow('disk: Coppice speaks NBD without TLS only.')
  })

  it('changes parts of a kernel boot and keeps the rest', () => {
    expect(patchOf(['cmdline=console=ttyS0', 'initrd='], linux)).toEqual({
      boot: { kind: 'kernel', kernel: 'boot/vmlinuz', initrd: null, cmdline: 'console=ttyS0' },
    })
  })

  it('names the key that is wrong', () => {
    const wrong = (assignment: string): string => {
      try {
        patchOf([assignment], disk)
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError)
        return (error as Error).message
      }
      throw new Error(`${assignment} was taken`)
    }
    expect(wrong('colour=red')).toMatch(/^There is no key “colour”. What can be set: name, memory,/)
    expect(wrong('toString=x')).toMatch(/^There is no key/)
    expect(wrong('memory')).toBe('“memory” has no value. Write memory=VALUE (SIZE, as in 256M).')
    expect(wrong('memory=lots')).toMatch(/^memory: “lots” is not an amount of memory/)
    expect(wrong('cmdline=x')).toBe('cmdline: “web” does not boot a kernel of its own, but from its drives.')
  })

  it('reads how a screen is offered to VNC viewers', () => {
    const off = { vncExport: { enabled: false, port: null } }
    expect(patchOf(['vnc=on'], disk)).toEqual({ vncExport: { enabled: true, port: null } })
    expect(patchOf(['vnc=5907'], disk)).toEqual({ vncExport: { enabled: true, port: 5907 } })
    expect(patchOf(['vnc=off'], disk)).toEqual(off)
    for (const wrong of ['80', 'yes', '70000']) expect(() => patchOf([`vnc=${wrong}`], disk)).toThrow(/vnc: .*on, off or a port/)
  })

  it('takes no password from the command line', () => {
    expect(withoutPassword(['vnc=on', 'vnc-password=-', 'name=a'])).toEqual({ asksPassword: true, others: ['vnc=on', 'name=a'] })
    expect(withoutPassword(['name=vnc-password=x'])).toEqual({ asksPassword: false, others: ['name=vnc-password=x'] })
    for (const wrong of ['vnc-password=secret12', 'vnc-password', 'vnc-password='])
      expect(() => withoutPassword([wrong])).toThrow('vnc-password: others can see a password on the command line.')
  })
})

describe('errorSentence', () => {
  it('names the host’s fields as the command line does', () => {
    const error = AppError.invalid([
      { path: 'patch.memoryMiB', message: '7 MiB is too little.' },
      { path: 'patch.folder.0', message: 'The name is empty.' },
      { path: 'patch.folder.2', message: 'The name is empty.' },
      { path: 'boot.cmdline', message: 'Too long.' },
      { path: 'other', message: 'Wrong.' },
    ])
    expect(errorSentence(error, KEY_OF_FIELD)).toBe('memory: 7 MiB is too little. folder: The name is empty. cmdline: Too long. Wrong.')
    expect(errorSentence(new AppError('busy', 'Busy.'))).toBe('Busy.')
  })
})
