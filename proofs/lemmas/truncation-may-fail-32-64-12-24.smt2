; One-round truncation by 12 bits from Z_2^32 into Z_2^64 that may fail: for every z with -2^24 <= z
; < 2^24 (signed) and every mask rho, the result is floor(z / 2^12) + delta modulo 2^64 with delta
; in 0..=1 if and only if rho < 2^32 - (z + 2^24). The query asks for a counterexample to either
; direction. Hence exactly z + 2^24 of the 2^32 masks fail, fewer than 2^25: for a uniform mask the
; failure probability is below 2^-7.
; Rests elsewhere: that the mask is uniform and independent of z. No shipped protocol executes this.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 32))
(declare-fun rho () (_ BitVec 32))
(define-fun raised () (_ BitVec 32) (bvadd z (_ bv16777216 32)))
; one round: raised + rho is opened; whoever knows rho shifts it
(define-fun opened () (_ BitVec 32) (bvadd raised rho))
(define-fun y () (_ BitVec 64) (bvsub (bvsub ((_ zero_extend 44) ((_ extract 31 12) opened)) ((_ zero_extend 44) ((_ extract 31 12) rho))) (_ bv4096 64)))
(define-fun floor () (_ BitVec 64) ((_ sign_extend 32) (bvashr z (_ bv12 32))))
(define-fun wrong () (_ BitVec 1) (ite (and (distinct y floor) (distinct y (bvadd floor (_ bv1 64)))) #b1 #b0))
; the masks from 2^k - raised on: exactly `raised` of them
(define-fun wraps () (_ BitVec 1) (ite (and (distinct raised (_ bv0 32)) (bvuge rho (bvneg raised))) #b1 #b0))
(assert (bvsge z (_ bv4278190080 32)))
(assert (bvslt z (_ bv16777216 32)))
(assert (distinct wrong wraps))
(check-sat)
