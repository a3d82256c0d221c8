/**
 * A guest of 173 bytes for figures of screens: the guest's own time is next to nothing. It draws a picture of 1024×1536 pixels, of which the screen shows
 * 768 lines, prints "R" on the first serial port, and sleeps. The key M begins and ends a movement: 100 times a second the screen shows lines that are
 * four further down. Every other key moves it by 384 lines: nothing on the screen is as it was.
 *
 *     7c00  xor ax,ax; mov ds,ax; mov ss,ax; mov sp,7c00h; cld
 *           mov ax,4f02h; mov bx,144h; int 10h            VBE: 1024×768, 32 bits (Bochs's number)
 *           xor si,si                                     si: 64 KiB of video memory
 *     draw  mov ax,4f05h; xor bx,bx; mov dx,si; int 10h   VBE: into the window at A000h
 *           mov ax,a000h; mov es,ax; xor di,di; mov bp,2048
 *     run   movzx eax,bp; imul eax,52b07h; movzx ebx,si; imul ebx,b3d1fh; xor eax,ebx
 *           mov cx,8; rep stosd                           eight pixels of a colour
 *           dec bp; jnz run; inc si; cmp si,96; jb draw
 *           mov dx,3f8h; mov al,'R'; out dx,al
 *     idle  sti; hlt; mov ah,1; int 16h; jz nokey
 *           xor ah,ah; int 16h; cmp al,'m'; je toggle
 *           add [y],384; jmp pan
 *     toggle xor [moving],11932; mov al,36h; out 43h,al   the timer: 100 Hz, or its usual 18.2
 *           mov ax,[moving]; out 40h,al; mov al,ah; out 40h,al
 *     nokey cmp [moving],0; je idle; add [y],4
 *     pan   cmp [y],768; jb set; sub [y],768
 *     set   mov ax,4f07h; xor bx,bx; xor cx,cx; mov dx,[y]; int 10h; jmp idle
 *     y, moving  dw 0, 0
 */
const CODE =
  '31c08ed88ed0bc007cfcb8024fbb4401cd1031f6b8054f31db89f2cd10b800a08ec031ffbd0008660fb7c56669c0072b0500660fb7de6669db1f3d0b006631d8b9080066f3ab' +
  '4d75de4683fe6072c5baf803b052eefbf4b401cd16742330e4cd163c6d74088106a97c8001eb1f8136ab7c9c2eb036e643a1ab7ce64088e0e640833eab7c0074ce8306a97c04' +
  '813ea97c00037206812ea97c0003b8074f31db31c98b16a97ccd10ebac00000000'

export const SCREEN = { width: 1024, height: 768 } as const

/** A disk that starts it. */
export function screenGuestDisk(): Uint8Array {
  const disk = new Uint8Array(1024 * 1024)
  disk.set(Buffer.from(CODE, 'hex'))
  disk.set([0x55, 0xaa], 510)
  return disk
}
