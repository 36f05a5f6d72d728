// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// As in first_linux_amd64.s.
TEXT ·first(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVD	$113, R8
	MOVD	$0, R0
	MOVD	$·began(SB), R1
	SVC
	JMP	_rt0_arm64_linux(SB)
