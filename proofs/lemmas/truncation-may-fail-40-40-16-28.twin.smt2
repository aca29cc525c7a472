; Twin of truncation-may-fail-40-40-16-28: one mask fewer is said to fail.
; Rests elsewhere: that the mask is uniform and independent of z. No shipped protocol executes this.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 40))
(declare-fun rho () (_ BitVec 40))
(define-fun raised () (_ BitVec 40) (bvadd z (_ bv268435456 40)))
; one round: raised + rho is opened; whoever knows rho shifts it
(define-fun opened () (_ BitVec 40) (bvadd raised rho))
(define-fun y () (_ BitVec 40) (bvsub (bvsub ((_ zero_extend 16) ((_ extract 39 16) opened)) ((_ zero_extend 16) ((_ extract 39 16) rho))) (_ bv4096 40)))
(define-fun floor () (_ BitVec 40) ((_ extract 39 0) (bvashr z (_ bv16 40))))
(define-fun wrong () (_ BitVec 1) (ite (and (distinct y floor) (distinct y (bvadd floor (_ bv1 40)))) #b1 #b0))
; the masks from 2^k - raised on: exactly `raised` of them
(define-fun wraps () (_ BitVec 1) (ite (and (distinct raised (_ bv0 40)) (bvuge rho (bvadd (bvneg raised) (_ bv1 40)))) #b1 #b0))
(assert (bvsge z (_ bv1099243192320 40)))
(assert (bvslt z (_ bv268435456 40)))
(assert (distinct wrong wraps))
(check-sat)
