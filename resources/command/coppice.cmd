@echo off
rem The command line of the installed application: Electron's binary as plain Node on the same files.
setlocal
set ELECTRON_RUN_AS_NODE=1
"%~dp0..\..\Coppice.exe" "%~dp0..\app.asar.unpacked\out\main\cli.js" %*
