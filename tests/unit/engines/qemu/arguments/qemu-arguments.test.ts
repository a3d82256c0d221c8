import { describe, expect, test } from 'vitest'
import { qemuArguments } from '../../../../../src-main/engines/qemu/arguments/qemu-arguments.ts'
import type { Platform, QemuRuntime } from '../../../../../src-main/engines/qemu/arguments/runtime.ts'
import type { MachineSpec } from '../../../../../src-shared/model/machine-spec.ts'
import { qemuRuntime, qemuSpec } from '../../../../support/qemu-spec.ts'
import { specDrive } from '../../../../support/spec-drive.ts'

const LINUX: Platform = { os: 'linux', arch: 'x64' }

/** Options with their values, one line each: "-device VGA,…". */
function lines(spec: MachineSpec, platform: Platform = LINUX, runtime: QemuRuntime = qemuRuntime(spec)): string[] {
  const list: string[] = []
  for (const word of qemuArguments(spec, runtime, platform)) {
    if (/^-[a-z]/i.test(word)) list.push(word)
    else list[list.length - 1] += ` ${word}`
  }
  return list
}

function about(spec: MachineSpec, pattern: RegExp, platform?: Platform): string[] {
  return lines(spec, platform).filter((line) => pattern.test(line))
}

const listening = 'server=on,wait=off'

describe('the arguments of a PC on Linux', () => {
  test('everything that is in the machine stands there', () => {
    const spec = qemuSpec({
      cpus: 2,
      drives: [specDrive('disk0', 'disk', { path: '/lib/web-1.coppice/disks/disk0.img' }), specDrive('cd0', 'cdrom')],
      nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01' }],
    })
    expect(lines(spec)).toEqual([
      '-nodefaults',
      '-no-user-config',
      '-display none',
      '-S',
      '-name guest=web-1',
      '-uuid 0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11',
      '-pidfile /run/m/pid',
      '-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
      '-machine q35,vmport=off',
      '-accel tcg,thread=multi',
      '-cpu max,erms=off,fsrm=off',
      '-smp cpus=2,sockets=1,cores=2,threads=1,maxcpus=2',
      '-m size=512M',
      '-global ICH9-LPC.disable_s3=1',
      '-global ICH9-LPC.disable_s4=1',
      '-boot strict=on',
      `-chardev socket,id=qmp,path=/run/m/qmp,${listening}`,
      '-mon chardev=qmp,mode=control',
      `-chardev socket,id=tools,path=/run/m/tools,${listening}`,
      '-mon chardev=tools,mode=control',
      '-device virtio-vga,id=display,bus=pcie.0,addr=0x2',
      '-vnc unix:/run/m/display,share=force-shared',
      '-device qemu-xhci,id=usb,bus=pcie.0,addr=0x3',
      '-device usb-tablet,id=tablet,bus=usb.0',
      '-device virtio-serial-pci,id=agents,bus=pcie.0,addr=0x4',
      `-chardev socket,id=guest-agent,path=/run/m/agent,${listening}`,
      '-device virtserialport,id=guest-agent,bus=agents.0,chardev=guest-agent,name=org.qemu.guest_agent.0',
      `-chardev socket,id=coppice-agent,path=/run/m/coppice,${listening}`,
      '-device virtserialport,id=coppice-agent,bus=agents.0,chardev=coppice-agent,name=org.coppice.agent.0',
      '-device virtio-balloon-pci,id=balloon,bus=pcie.0,addr=0x5,deflate-on-oom=on,free-page-reporting=on',
      '-object rng-builtin,id=entropy',
      '-device virtio-rng-pci,id=rng,bus=pcie.0,addr=0x6,rng=entropy',
      `-chardev socket,id=serial0,path=/run/m/serial0,${listening},logfile=/lib/web-1.coppice/logs/serial0.log,logappend=on`,
      '-serial chardev:serial0',
      '-device pcie-root-port,id=nic_port0,bus=pcie.0,addr=0xc,chassis=1,port=1',
      '-device pcie-root-port,id=nic_port1,bus=pcie.0,addr=0xd,chassis=2,port=2',
      '-device pcie-root-port,id=nic_port2,bus=pcie.0,addr=0xe,chassis=3,port=3',
      '-device pcie-root-port,id=nic_port3,bus=pcie.0,addr=0xf,chassis=4,port=4',
      '-device pcie-root-port,id=disk_port0,bus=pcie.0,addr=0x10,chassis=5,port=5',
      '-device pcie-root-port,id=disk_port1,bus=pcie.0,addr=0x11,chassis=6,port=6',
      '-device pcie-root-port,id=disk_port2,bus=pcie.0,addr=0x12,chassis=7,port=7',
      '-device pcie-root-port,id=disk_port3,bus=pcie.0,addr=0x13,chassis=8,port=8',
      '-object {"qom-type":"throttle-group","id":"disk0-limits","limits":{"iops-total":0,"bps-total":0}}',
      '-blockdev {"node-name":"disk0-file","driver":"raw","read-only":false,"discard":"unmap","detect-zeroes":"unmap","file":{"driver":"file","filename":"/lib/web-1.coppice/disks/disk0.img","discard":"unmap"}}',
      '-blockdev {"driver":"throttle","node-name":"disk0","throttle-group":"disk0-limits","file":"disk0-file","discard":"unmap"}',
      '-device virtio-blk-pci,id=disk0,bus=disk_port0,drive=disk0,serial=disk0,num-queues=2,bootindex=0',
      '-blockdev {"node-name":"cd0","driver":"raw","read-only":true,"file":{"driver":"file","filename":"/images/cd0"}}',
      '-device ide-cd,id=cd0,bus=ide.2,drive=cd0,bootindex=1',
      '-netdev stream,id=nic0-net,server=on,addr.type=unix,addr.path=/run/m/nic0',
      '-device virtio-net-pci,id=nic0,bus=nic_port0,netdev=nic0-net,mac=52:54:00:00:00:01,romfile=',
    ])
  })

  test('a kernel is booted directly, its command line whatever it is', () => {
    const boot = { kind: 'kernel' as const, kernel: '/k,1', initrd: '/i', cmdline: 'console=ttyS0 a,b=c "d e"' }
    const args = qemuArguments(qemuSpec({ boot }), qemuRuntime(qemuSpec()), LINUX)
    expect(args.slice(args.indexOf('-kernel'), args.indexOf('-kernel') + 6)).toEqual([
      ...['-kernel', '/k,1', '-initrd', '/i', '-append', 'console=ttyS0 a,b=c "d e"'],
    ])
    expect(args).not.toContain('-boot')
    const bare = qemuArguments(qemuSpec({ boot: { ...boot, initrd: null } }), qemuRuntime(qemuSpec()), LINUX)
    expect(bare).not.toContain('-initrd')
  })

  test('on macOS a card in a bridged network has the computer’s own network behind it, and no socket', () => {
    const spec = qemuSpec({
      nics: [
        { id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01', bridge: { network: 'lan', card: 'en0' } },
        { id: 'nic1', model: 'e1000', mac: '52:54:00:00:00:02' },
      ],
    })
    const given = lines(spec, { os: 'darwin', arch: 'arm64' })
    expect(given.filter((line) => /-netdev|netdev=/.test(line))).toEqual([
      '-netdev vmnet-bridged,id=nic0-net,ifname=en0',
      '-device virtio-net-pci,id=nic0,bus=nic_port0,netdev=nic0-net,mac=52:54:00:00:00:01,romfile=',
      '-netdev stream,id=nic1-net,server=on,addr.type=unix,addr.path=/run/m/nic1',
      '-device e1000,id=nic1,bus=nic_port1,netdev=nic1-net,mac=52:54:00:00:00:02,romfile=',
    ])
    expect(Object.keys(qemuRuntime(spec).nics)).toEqual(['nic1'])
  })

  test('commas in names and paths are doubled where QEMU splits at them, and only there', () => {
    const spec = qemuSpec({
      name: 'a,b',
      logFolder: '/lib/a,b.coppice/logs',
      drives: [specDrive('disk0', 'disk', { path: '/lib/a,b.coppice/d.img' })],
      nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01' }],
      sharedFolders: [{ tag: 'src', path: '/srv/a,b', readOnly: true }],
    })
    const given = lines(spec, LINUX, qemuRuntime(spec, '/run/a,b')).join('\n')
    for (const part of [
      'guest=a,,b',
      '-pidfile /run/a,b/pid',
      'path=/run/a,,b/qmp,server',
      'unix:/run/a,,b/display,share',
      'logfile=/lib/a,,b.coppice/logs/serial0.log,',
      '"filename":"/lib/a,b.coppice/d.img"',
      'addr.path=/run/a,,b/nic0',
      'path=/srv/a,,b,security_model',
    ])
      expect(given).toContain(part)
  })

  test('the boot order is the drives’, by kind and then as they stand; what is not in it is not tried', () => {
    const drives = [specDrive('disk0', 'disk'), specDrive('disk1', 'disk'), specDrive('cd0', 'cdrom'), specDrive('floppy0', 'floppy')]
    const order = (...kinds: ('disk' | 'cdrom' | 'floppy')[]) =>
      about(qemuSpec({ drives, boot: { kind: 'firmware', order: kinds } }), /bootindex/).map((line) =>
        line.replace(/^.*id=(\w+),.*bootindex=/, '$1 '),
      )
    expect(order('cdrom', 'disk')).toEqual(['disk0 1', 'disk1 2', 'cd0 0'])
    expect(order('floppy')).toEqual(['-global isa-fdc.bootindexA=0'])
  })

  test('disks have their limits, CDs and floppies can be empty', () => {
    const drives = [
      specDrive('disk0', 'disk', { readOnly: true, limits: { iops: 100, bytesPerSecond: 1_000_000 } }),
      specDrive('cd0', 'cdrom', { inserted: false, path: null }),
      specDrive('floppy0', 'floppy', { inserted: false, path: null }),
    ]
    expect(about(qemuSpec({ drives }), /disk0|cd0|floppy0|fdc/)).toEqual([
      '-global isa-fdc.bootindexA=2',
      '-device isa-fdc,id=fdc0',
      '-object {"qom-type":"throttle-group","id":"disk0-limits","limits":{"iops-total":100,"bps-total":1000000}}',
      '-blockdev {"node-name":"disk0-file","driver":"raw","read-only":true,"file":{"driver":"file","filename":"/images/disk0"}}',
      '-blockdev {"driver":"throttle","node-name":"disk0","throttle-group":"disk0-limits","file":"disk0-file","read-only":true}',
      '-device virtio-blk-pci,id=disk0,bus=disk_port0,drive=disk0,serial=disk0,num-queues=1,bootindex=0',
      '-device ide-cd,id=cd0,bus=ide.2,bootindex=1',
      '-device floppy,id=floppy0,unit=0,drive-type=144',
    ])
  })

  test('disks are on the bus and have the cache that they say', () => {
    const drives = [
      specDrive('root', 'disk', { cache: 'writethrough' }),
      specDrive('fast', 'disk', { bus: 'nvme', cache: 'none', path: '/images/fast.qcow2', format: 'qcow2' }),
      specDrive('old', 'disk', { bus: 'ata' }),
      specDrive('stick', 'disk', { bus: 'usb', cache: 'unsafe' }),
      specDrive('cd0', 'cdrom'),
    ]
    expect(about(qemuSpec({ drives }), /^-device (virtio-blk|nvme|ide|usb-storage|qemu-xhci)|(fast|stick|root)-file"/)).toEqual([
      '-device qemu-xhci,id=usb,bus=pcie.0,addr=0x3',
      '-device qemu-xhci,id=usb_disks,bus=pcie.0,addr=0x1,p2=8,p3=8',
      expect.stringMatching(/"root-file","driver":"raw".*"file":\{"driver":"file","filename":"\/images\/root","discard":"unmap"\}\}$/),
      expect.stringContaining('"driver":"throttle","node-name":"root"'),
      '-device virtio-blk-pci,id=root,bus=disk_port0,drive=root,serial=root,num-queues=1,write-cache=off,bootindex=0',
      expect.stringMatching(
        /"fast-file".*"cache":\{"direct":true,"no-flush":false\}.*"file":\{.*"cache":\{"direct":true,"no-flush":false\}\}\}$/,
      ),
      expect.stringContaining('"driver":"throttle","node-name":"fast"'),
      '-device nvme,id=fast,bus=disk_port1,drive=fast,serial=fast,bootindex=1',
      '-device ide-hd,id=old,bus=ide.0,drive=old,serial=old,bootindex=2',
      expect.stringMatching(/"stick-file".*"file":\{.*"cache":\{"direct":false,"no-flush":true\}\}\}$/),
      expect.stringContaining('"driver":"throttle","node-name":"stick"'),
      '-device usb-storage,id=stick,bus=usb_disks.0,port=4,drive=stick,serial=stick,bootindex=3',
      '-device ide-cd,id=cd0,bus=ide.2,drive=cd0,bootindex=4',
    ])
    // Older systems know USB 2; the board of 1996 has another slot left.
    const usb = { drives: [specDrive('stick', 'disk', { bus: 'usb' })] }
    expect(about(qemuSpec(usb, { devices: 'legacy', machineType: 'pc' }), /usb_disks/)).toEqual([
      '-device usb-ehci,id=usb_disks,bus=pci.0,addr=0x1f',
      '-device usb-storage,id=stick,bus=usb_disks.0,port=1,drive=stick,serial=stick,bootindex=0',
    ])
  })

  test('disks beyond the places for those that come and go have ports of their own, and move nothing', () => {
    const disks = (count: number) => ({ drives: Array.from({ length: count }, (_, at) => specDrive(`d${at}`, 'disk')) })
    const ports = (count: number) => about(qemuSpec(disks(count)), /id=disk_port/)
    expect(ports(0)).toHaveLength(4)
    expect(ports(6).slice(0, 4)).toEqual(ports(1))
    expect(ports(6).slice(4)).toEqual([
      '-device pcie-root-port,id=disk_port4,bus=pcie.0,addr=0x8,chassis=9,port=9',
      '-device pcie-root-port,id=disk_port5,bus=pcie.0,addr=0x9,chassis=10,port=10',
    ])
    expect(about(qemuSpec(disks(8), { devices: 'legacy' }), /disk_port/)).toEqual([])
    const old = { drives: disks(5).drives.map((drive) => ({ ...drive, bus: 'virtio' as const })) }
    expect(
      about(qemuSpec(old, { devices: 'legacy', machineType: 'pc' }), /^-device virtio-blk/).map((line) => /addr=\w+/.exec(line)![0]),
    ).toEqual([...['addr=0x10', 'addr=0x11', 'addr=0x12', 'addr=0x13', 'addr=0x8']])
  })

  test.each([
    { os: 'win32', arch: 'x64' },
    { os: 'darwin', arch: 'arm64' },
  ] satisfies Platform[])('and are the same on $os', (platform) => {
    const drives = [
      specDrive('root', 'disk', { bus: 'ata', path: platform.os === 'win32' ? 'C:\\disks\\a, b.img' : '/disks/a, b.img' }),
      specDrive('fast', 'disk', { bus: 'nvme', cache: 'writethrough' }),
      specDrive('stick', 'disk', { bus: 'usb', path: 'nbd://server/stick' }),
    ]
    const lines = about(qemuSpec({ drives }), /^-device (ide|nvme|usb-storage)|usb_disks,|"filename"|"nbd"/, platform)
    expect(lines).toEqual(about(qemuSpec({ drives }), /^-device (ide|nvme|usb-storage)|usb_disks,|"filename"|"nbd"/))
    expect(lines.join('\n')).toContain(
      platform.os === 'win32' ? String.raw`"filename":"C:\\disks\\a, b.img"` : '"filename":"/disks/a, b.img"',
    )
    expect(lines.join('\n')).toContain('serial=fast,write-cache=off')
  })

  test('disks on the network are reached by QEMU itself', () => {
    const nodes = (path: string, format: 'raw' | 'qcow2' = 'raw') =>
      about(qemuSpec({ drives: [specDrive('d', 'disk', { path, format, readOnly: true })] }), /d-file","driver/).map((line) =>
        line.replace(/^.*"file":/, ''),
      )
    expect(nodes('nbd://[::1]:99/a%20b')).toEqual([
      '{"driver":"nbd","server":{"type":"inet","host":"::1","port":"99"},"export":"a b","reconnect-delay":10}}',
    ])
    expect(nodes('nbd+unix:///x?socket=/run/n')).toEqual([
      '{"driver":"nbd","server":{"type":"unix","path":"/run/n"},"export":"x","reconnect-delay":10}}',
    ])
    expect(nodes('iscsi://[::1]/iqn.a:b/2')).toEqual([
      '{"driver":"iscsi","transport":"tcp","portal":"[::1]:3260","target":"iqn.a:b","lun":2}}',
    ])
    expect(nodes('nfs://server/srv/a.qcow2', 'qcow2')).toEqual([
      '{"driver":"nfs","server":{"type":"inet","host":"server"},"path":"/srv/a.qcow2"}}',
    ])
  })

  test('processors can be added up to the most, as cores of one', () => {
    expect(about(qemuSpec({ cpus: 2 }, { maxCpus: 8 }), /^-smp/)).toEqual(['-smp cpus=2,sockets=1,cores=8,threads=1,maxcpus=8'])
    expect(about(qemuSpec(), /^-smp/)).toEqual(['-smp cpus=1'])
    // Whatever is added, a disk stays as it is.
    const disk = { drives: [specDrive('disk0', 'disk')] }
    for (const cpus of [1, 8])
      expect(about(qemuSpec({ ...disk, cpus }, { maxCpus: 8 }), /virtio-blk/)).toEqual([expect.stringContaining('num-queues=4')])
  })

  test('what was changed while it ran is where it was', () => {
    const spec = qemuSpec({
      drives: [specDrive('data', 'disk', { place: 2 }), specDrive('cd0', 'cdrom', { place: 0 })],
      nics: [{ id: 'nic1', model: 'virtio', mac: '52:54:00:00:00:02', place: 1, linkUp: true }],
      pointer: 'mouse',
    })
    expect(about(spec, /=data,|=nic1|ide-cd|usb/)).toEqual([
      '-device qemu-xhci,id=usb,bus=pcie.0,addr=0x3',
      '-device virtio-blk-pci,id=data,bus=disk_port2,drive=data,serial=data,num-queues=1,bootindex=0',
      '-device ide-cd,id=cd0,bus=ide.2,drive=cd0,bootindex=1',
      '-netdev stream,id=nic1-net,server=on,addr.type=unix,addr.path=/run/m/nic1',
      '-device virtio-net-pci,id=nic1,bus=nic_port1,netdev=nic1-net,mac=52:54:00:00:00:02,romfile=',
    ])
  })

  test('UEFI has its code and its own copy of the variables as flash; Secure Boot guards them', () => {
    const vars = { template: '/fw/VARS.fd', path: '/lib/web-1.coppice/firmware/vars.fd' }
    const uefi = qemuSpec({}, { firmware: { kind: 'uefi', code: '/fw/CODE.fd', vars, format: 'raw' } })
    const flash = [
      '-blockdev {"driver":"raw","node-name":"firmware-code","read-only":true,"file":{"driver":"file","filename":"/fw/CODE.fd"}}',
      '-blockdev {"driver":"raw","node-name":"firmware-vars","read-only":false,"file":{"driver":"file","filename":"/lib/web-1.coppice/firmware/vars.fd"}}',
    ]
    expect(about(uefi, /^-machine|firmware|secure/)).toEqual([
      '-machine q35,vmport=off,pflash0=firmware-code,pflash1=firmware-vars',
      ...flash,
    ])
    const secure = qemuSpec({}, { firmware: { kind: 'uefi-secure', code: '/fw/CODE.fd', vars, format: 'raw' } })
    expect(about(secure, /^-machine|firmware|secure/)).toEqual([
      '-machine q35,vmport=off,smm=on,pflash0=firmware-code,pflash1=firmware-vars',
      ...flash,
      '-global driver=cfi.pflash01,property=secure,value=on',
    ])
    const combined = qemuSpec({}, { firmware: { kind: 'uefi', code: '/fw/OVMF.fd', vars: null, format: 'raw' } })
    expect(about(combined, /^-machine|^-bios/)).toEqual(['-machine q35,vmport=off', '-bios /fw/OVMF.fd'])
  })

  test('a TPM is swtpm’s, to which QEMU connects', () => {
    const spec = qemuSpec({}, { tpm: { swtpm: '/usr/bin/swtpm', state: '/lib/web-1.coppice/firmware/tpm' } })
    expect(about(spec, /tpm/)).toEqual([
      '-chardev socket,id=tpm,path=/run/m/tpm',
      '-tpmdev emulator,id=tpm0,chardev=tpm',
      '-device tpm-tis,tpmdev=tpm0',
    ])
  })

  test('shared folders: read-only as they are, writable ones with the guest’s owners apart', () => {
    const sharedFolders = [
      { tag: 'docs', path: '/srv/docs', readOnly: true },
      { tag: 'work', path: '/srv/work', readOnly: false },
    ]
    expect(about(qemuSpec({ sharedFolders }), /share\d/)).toEqual([
      '-fsdev local,id=share0,path=/srv/docs,security_model=none,readonly=on,multidevs=remap',
      '-device virtio-9p-pci,id=share0-device,bus=pcie.0,addr=0x14,fsdev=share0,mount_tag=docs',
      '-fsdev local,id=share1,path=/srv/work,security_model=mapped-xattr,readonly=off,multidevs=remap',
      '-device virtio-9p-pci,id=share1-device,bus=pcie.0,addr=0x15,fsdev=share1,mount_tag=work',
    ])
  })

  test('no display, no VNC; a VGA where it is wished', () => {
    expect(about(qemuSpec({}, { display: 'none' }), /display|vnc/i)).toEqual(['-display none'])
    expect(about(qemuSpec({}, { display: 'vga' }), /^-device VGA/)).toEqual(['-device VGA,id=display,bus=pcie.0,addr=0x2'])
  })

  test('memory to go on from is named, and a QEMU without seccomp has no sandbox', () => {
    const spec = qemuSpec({}, { sandbox: false })
    const given = lines(spec, LINUX, { ...qemuRuntime(spec), incoming: 'defer' })
    expect(given.at(-1)).toBe('-incoming defer')
    expect(given.join(' ')).not.toContain('-sandbox')
  })
})

describe('older systems', () => {
  test('get IDE disks, no virtio device at all, and the board of their time', () => {
    const spec = qemuSpec(
      {
        arch: 'i386',
        drives: [specDrive('disk0', 'disk'), specDrive('disk1', 'disk'), specDrive('cd0', 'cdrom'), specDrive('floppy0', 'floppy')],
        nics: [
          { id: 'nic0', model: 'e1000e', mac: '52:54:00:00:00:01' },
          { id: 'nic1', model: 'ne2k', mac: '52:54:00:00:00:02' },
          { id: 'nic2', model: 'rtl8139', mac: '52:54:00:00:00:03' },
          { id: 'nic3', model: 'e1000', mac: '52:54:00:00:00:04' },
        ],
        serialPorts: 2,
      },
      { devices: 'legacy', machineType: 'pc', display: 'vga', binary: '/usr/bin/qemu-system-i386' },
    )
    expect(lines(spec).join(' ')).not.toContain('virt')
    expect(about(spec, /^-device|^-machine|^-global|^-serial/)).toEqual([
      '-machine pc,vmport=off',
      '-global PIIX4_PM.disable_s3=1',
      '-global PIIX4_PM.disable_s4=1',
      '-device VGA,id=display,bus=pci.0,addr=0x2',
      '-device piix3-usb-uhci,id=usb,bus=pci.0,addr=0x3',
      '-device usb-tablet,id=tablet,bus=usb.0',
      '-serial chardev:serial0',
      '-serial chardev:serial1',
      '-global isa-fdc.bootindexA=3',
      '-device ide-hd,id=disk0,bus=ide.0,unit=0,drive=disk0,serial=disk0,bootindex=0',
      '-device ide-hd,id=disk1,bus=ide.0,unit=1,drive=disk1,serial=disk1,bootindex=1',
      '-device ide-cd,id=cd0,bus=ide.1,unit=0,drive=cd0,bootindex=2',
      '-device floppy,id=floppy0,unit=0,drive=floppy0',
      '-device e1000e,id=nic0,bus=pci.0,addr=0xc,netdev=nic0-net,mac=52:54:00:00:00:01,romfile=',
      '-device ne2k_pci,id=nic1,bus=pci.0,addr=0xd,netdev=nic1-net,mac=52:54:00:00:00:02,romfile=',
      '-device rtl8139,id=nic2,bus=pci.0,addr=0xe,netdev=nic2-net,mac=52:54:00:00:00:03,romfile=',
      '-device e1000,id=nic3,bus=pci.0,addr=0xf,netdev=nic3-net,mac=52:54:00:00:00:04,romfile=',
    ])
  })

  test('on a board with SATA, disks and CDs take ports of their own', () => {
    const drives = [specDrive('a', 'disk'), specDrive('b', 'disk'), specDrive('c', 'disk'), specDrive('cd', 'cdrom')]
    expect(about(qemuSpec({ drives }, { devices: 'legacy' }), /ide-/).map((line) => /bus=ide\.\d/.exec(line)?.[0])).toEqual([
      ...['bus=ide.0', 'bus=ide.1', 'bus=ide.3', 'bus=ide.2'],
    ])
  })
})

describe('boards that are no PCs', () => {
  const drives = [specDrive('disk0', 'disk'), specDrive('cd0', 'cdrom')]
  const arm = (change: Partial<MachineSpec> = {}) =>
    qemuSpec(
      { arch: 'aarch64', drives, serialPorts: 2, ...change },
      {
        machineType: 'virt',
        binary: '/usr/bin/qemu-system-aarch64',
        firmware: {
          kind: 'uefi',
          code: '/fw/AAVMF_CODE.fd',
          vars: { template: '/fw/AAVMF_VARS.fd', path: '/b/firmware/vars.fd' },
          format: 'raw',
        },
        tpm: { swtpm: '/usr/bin/swtpm', state: '/b/firmware/tpm' },
      },
    )

  test('aarch64', () => {
    expect(about(arm(), /^-machine|^-cpu|^-accel|^-global|^-serial|pci-serial|scsi|virtio-blk|usb|virtio-gpu|tpm-/)).toEqual([
      '-machine virt,gic-version=max,pflash0=firmware-code,pflash1=firmware-vars',
      '-accel tcg,thread=multi',
      '-cpu max,pauth-impdef=on',
      '-device virtio-gpu-pci,id=display,bus=pcie.0,addr=0x2',
      '-device qemu-xhci,id=usb,bus=pcie.0,addr=0x3',
      '-device usb-tablet,id=tablet,bus=usb.0',
      '-device usb-kbd,id=keyboard,bus=usb.0',
      '-serial chardev:serial0',
      '-device pci-serial,chardev=serial1,bus=pcie.0,addr=0x1c',
      '-device virtio-scsi-pci,id=scsi0,bus=pcie.0,addr=0x7',
      '-device virtio-blk-pci,id=disk0,bus=disk_port0,drive=disk0,serial=disk0,num-queues=1,bootindex=0',
      '-device scsi-cd,id=cd0,bus=scsi0.0,scsi-id=0,drive=cd0,bootindex=1',
      '-device tpm-tis-device,tpmdev=tpm0',
    ])
  })

  test('riscv64', () => {
    const spec = qemuSpec({ arch: 'riscv64', drives }, { machineType: 'virt', binary: '/usr/bin/qemu-system-riscv64' })
    expect(about(spec, /^-machine|^-cpu|^-accel|^-bios|ide|vga/)).toEqual(['-machine virt', '-accel tcg,thread=multi', '-cpu rv64'])
  })
})

describe('accelerators and hosts', () => {
  const with_ = (
    accelerator: 'kvm' | 'hvf' | 'whpx' | 'tcg',
    platform: Platform,
    version = '9.2.0',
    arch: MachineSpec['arch'] = 'x86_64',
  ) => about(qemuSpec({ arch }, { accelerator, version }), /^-accel|^-cpu|^-sandbox/, platform)

  test('each gives its own processor', () => {
    const sandbox = '-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
    expect(with_('kvm', LINUX)).toEqual([sandbox, '-accel kvm', '-cpu host'])
    expect(with_('hvf', { os: 'darwin', arch: 'arm64' }, '9.2.0', 'aarch64')).toEqual(['-accel hvf', '-cpu host'])
    expect(with_('whpx', { os: 'win32', arch: 'x64' })).toEqual(['-accel whpx,kernel-irqchip=off', '-cpu qemu64'])
    expect(with_('whpx', { os: 'win32', arch: 'x64' }, '11.1.0')).toEqual(['-accel whpx,kernel-irqchip=off', '-cpu host'])
  })

  test('an ARM computer runs a PC in one thread, and its own kind in several', () => {
    const mac: Platform = { os: 'darwin', arch: 'arm64' }
    expect(with_('tcg', mac)[0]).toBe('-accel tcg,thread=single')
    expect(with_('tcg', mac, '9.2.0', 'aarch64')[0]).toBe('-accel tcg,thread=multi')
  })

  test('Windows: everything on loopback, and paths as they are there', () => {
    const spec = qemuSpec({
      logFolder: 'C:\\Users\\A, B\\logs',
      drives: [specDrive('disk0', 'disk', { path: 'C:\\a\\disk0.img' })],
      nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01' }],
    })
    const port = (number: number) => ({ kind: 'inet' as const, port: number })
    const runtime: QemuRuntime = {
      ...{ qmp: port(6001), tools: port(6002), nics: { nic0: port(6003) }, display: port(6004), guestAgent: port(6005) },
      ...{ coppiceAgent: port(6006), tpm: null, pidFile: 'C:\\run\\pid', incoming: null },
      serial: [{ endpoint: port(6007), log: 'C:\\Users\\A, B\\logs\\serial0.log' }],
    }
    const given = lines(spec, { os: 'win32', arch: 'x64' }, runtime)
    expect(given.filter((line) => /127\.0\.0\.1|pidfile|filename/.test(line))).toEqual([
      '-pidfile C:\\run\\pid',
      `-chardev socket,id=qmp,host=127.0.0.1,port=6001,${listening}`,
      `-chardev socket,id=tools,host=127.0.0.1,port=6002,${listening}`,
      '-vnc 127.0.0.1:104,share=force-shared',
      `-chardev socket,id=guest-agent,host=127.0.0.1,port=6005,${listening}`,
      `-chardev socket,id=coppice-agent,host=127.0.0.1,port=6006,${listening}`,
      `-chardev socket,id=serial0,host=127.0.0.1,port=6007,${listening},logfile=C:\\Users\\A,, B\\logs\\serial0.log,logappend=on`,
      '-blockdev {"node-name":"disk0-file","driver":"raw","read-only":false,"discard":"unmap","detect-zeroes":"unmap","file":{"driver":"file","filename":"C:\\\\a\\\\disk0.img","discard":"unmap"}}',
      '-netdev stream,id=nic0-net,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=6003',
    ])
    expect(given.join(' ')).not.toMatch(/websocket|0\.0\.0\.0|sandbox/)
  })
})
