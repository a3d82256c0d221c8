@echo off
rem The same as coppice, for Windows: the built command line where there is one, else the sources.
setlocal
set "root=%~dp0.."
set "node=%root%\node_modules\node\bin\node.exe"
if not exist "%node%" (
  echo coppice: Coppice is not set up yet. Run "npm start" in %root% once, then try again. 1>&2
  exit /b 1
)
if exist "%root%\out\main\cli.js" (
  "%node%" --enable-source-maps "%root%\out\main\cli.js" %*
) else (
  "%node%" "%root%\src-main\app\cli\main.ts" %*
)
